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
enum verdict {
	VERDICT_FORWARD,  /* as it came */
	VERDICT_REWRITE,  /* a changed copy of the same length */
	VERDICT_REFLECT,  /* to another honeypot, which plays the destination */
	VERDICT_SINKHOLE, /* to a service of skep's, which plays the destination */
	VERDICT_RESET,    /* nowhere; the sender is told as a closed port would */
	VERDICT_DROP,     /* nowhere */
	VERDICT_COUNT
};

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
	X(EXTENSION, "extension", "IP options or IPv6 extension headers: a route, out of order, or unknown")           \
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
	X(FROZEN, "frozen", "an operator has frozen the honeypot or the honeynet")                                     \
	X(FENCED, "fenced", "the destination is on the fence list")                                                    \
	X(BLACKLISTED, "blacklisted", "the address is on the black list")                                              \
	X(ROACH_MOTEL, "roach-motel", "nothing may leave this honeypot")                                               \
	X(ALLOW_LIST, "allow-list", "the destination is on the allow list")                                            \
	X(RULE, "rule", "a rule decided")                                                                              \
	X(LIMIT_RULE, "limit-rule", "limit of a rule reached")                                                         \
	X(LIMIT_DESTINATION, "limit-destination", "limit of conversations with this destination reached")              \
	X(LIMIT_SOURCE, "limit-source", "limit of conversations from this source reached")                             \
	X(LIMIT_FAN_OUT, "limit-fan-out", "too many different destinations")                                           \
	X(LIMIT_CONCURRENT, "limit-concurrent", "too many conversations at a time")                                    \
	X(LIMIT_BANDWIDTH, "limit-bandwidth", "more waits to be sent than the queue of the honeypot holds")            \
	X(LIMIT_FIRST, "limit-first", "more than the rule's first bytes or packets of the conversation")               \
	X(DNS, "dns", "a DNS message that the policy does not let through")                                            \
	X(DNS_LIMIT, "dns-limit", "limit of DNS queries or names reached")                                             \
	X(DNS_TUNNEL, "dns-tunnel", "a DNS name that carries data")                                                    \
	X(TCP_STATE, "tcp-state", "does not fit the connection: outside of the window, or says other than before")     \
	X(TTL, "ttl", "TTL or hop limit other than the conversation's")                                                \
	X(INCOMPLETE, "incomplete", "fragments that never became a whole datagram")                                    \
	X(ENGINE, "engine", "the inline engine let it pass")                                                           \
	X(ENGINE_DROP, "engine-drop", "the inline engine did not give it back")                                        \
	X(ENGINE_DOWN, "engine-down", "the inline engine does not run")                                                \
	X(ENGINE_UNKNOWN, "engine-unknown", "came from the inline engine, which never got it")                         \
	X(HELD, "held", "the machine is paused: its connections are kept alive")                                       \
	X(PLAYED, "played", "from the one that plays a destination, to the honeypot")                                  \
	X(QUEUED, "queued", "waits for its turn: bandwidth, or a datagram's other fragments")                          \
	X(ENGINE_BUSY, "engine-busy", "too many frames wait for the inline engine already")                            \
	X(ENGINE_COPY, "engine-copy", "the way back of a copy that a passive engine got")                              \
	X(LIMIT_TABLE, "limit-table-full", "no room to count one more conversation, source or destination")

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
