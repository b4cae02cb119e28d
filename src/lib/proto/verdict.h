/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_VERDICT_H
#define SKEP_PROTO_VERDICT_H

#include <stdint.h>

/*
 * What data control decided about one frame. The order is the order of
 * strictness: a verdict only tightens (invariant 3), so a later stage may
 * raise the number and never lower it. The names are written into
 * evidence and never change.
 */
enum verdict { VERDICT_FORWARD = 0, VERDICT_DROP = 1, VERDICT_COUNT };

/*
 * Why. One reason per frame, the first that tightened wins. name is what users
 * see, what evidence holds, and what filters take: it never changes.
 */
#define REASONS(X)                                                                                                     \
	X(NONE, "none", "not judged")                                                                                  \
	X(INBOUND, "inbound", "from the uplink to a honeypot")                                                         \
	X(REPLY, "reply", "belongs to a conversation that the other side began")                                       \
	X(OUTBOUND, "outbound", "a honeypot's own conversation, within its limits")                                    \
	X(LATERAL, "lateral", "between honeypots, within the limits")                                                  \
	X(RESOLUTION, "resolution", "ARP or neighbour discovery that the port may send")                               \
	X(RELATED_ERROR, "related-error", "an ICMP error about a known conversation")                                  \
	X(MALFORMED, "malformed", "headers do not parse or contradict each other")                                     \
	X(CHECKSUM, "checksum", "wrong checksum")                                                                      \
	X(FRAGMENT, "fragment", "overlapping, tiny or otherwise unacceptable fragment")                                \
	X(EXTENSION, "extension", "IPv6 extension headers: too many, or routing type 0")                               \
	X(SPOOFED_MAC, "spoofed-mac", "source MAC does not belong to the port")                                        \
	X(SPOOFED_ADDRESS, "spoofed-address", "source address does not belong to the port")                            \
	X(SPOOFED_ARP, "spoofed-arp", "ARP or ND claims an address that is not the port's")                            \
	X(VLAN, "vlan", "802.1Q or QinQ tag from a honeypot")                                                          \
	X(LINK_LOCAL_PROTOCOL, "link-protocol", "LLDP, STP, pause or another link protocol")                           \
	X(ROUTER_ADVERT, "router-advert", "router advertisement from a honeypot")                                      \
	X(REDIRECT, "redirect", "ICMP redirect from a honeypot")                                                       \
	X(DHCP_SERVER, "dhcp-server", "DHCP server message from a honeypot")                                           \
	X(ETHERTYPE, "ethertype", "neither ARP, IPv4 nor IPv6")                                                        \
	X(DENIED, "denied", "no rule lets it out")                                                                     \
	X(DENIED_LATERAL, "denied-lateral", "no rule lets honeypots talk to each other")                               \
	X(DENIED_INBOUND, "denied-inbound", "the policy closes the honeynet to the uplink")                            \
	X(MULTICAST, "multicast", "broadcast or multicast that the policy does not let out")                           \
	X(LIMIT_TCP, "limit-tcp", "limit of new TCP connections reached")                                              \
	X(LIMIT_UDP, "limit-udp", "limit of new UDP conversations reached")                                            \
	X(LIMIT_ICMP, "limit-icmp", "limit of ICMP conversations reached")                                             \
	X(LIMIT_OTHER, "limit-other", "limit of other protocols reached")                                              \
	X(BUDGET_FLOW, "budget-flow", "byte or packet budget of the conversation used up")                             \
	X(BUDGET_HONEYPOT, "budget-honeypot", "byte or packet budget of the honeypot used up")                         \
	X(NO_FLOW, "no-flow", "belongs to no known conversation and may not begin one")                                \
	X(FLOW_TABLE_FULL, "flow-table-full", "no room in the flow table (of the honeypot, or at all)")                \
	X(NO_PORT, "no-port", "nobody on this network has the destination")                                            \
	X(EVIDENCE_FULL, "evidence-full", "could not be recorded: the ring is full")                                   \
	X(EVIDENCE_DOWN, "evidence-down", "could not be recorded: evidence stopped")                                   \
	X(NO_POLICY, "no-policy", "the port has no policy yet")                                                        \
	X(SEND_FAILED, "send-failed", "recorded as forwarded, but the port's send failed")                             \
	X(TOO_LONG, "too-long", "longer than the port's largest frame")                                                \
	X(FROZEN, "frozen", "an operator has frozen the honeypot or the honeynet")

enum reason {
#define X(id, name, text) REASON_##id,
	REASONS(X)
#undef X
	    REASON_COUNT
};

const char *verdict_name(unsigned v); /* "forward", "drop"; "?" if unknown */
const char *reason_name(unsigned r);
const char *reason_text(unsigned r);
/* -1 if no such name */
int reason_by_name(const char *name);
int verdict_by_name(const char *name);

#endif
