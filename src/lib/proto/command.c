/* SPDX-License-Identifier: ISC */
#include "proto/command.h"

#include <string.h>

#define OPTS(...)                                                                                                      \
	(const struct command_opt[])                                                                                   \
	{                                                                                                              \
		__VA_ARGS__,                                                                                           \
		{                                                                                                      \
			0                                                                                              \
		}                                                                                                      \
	}
#define JSON_OPT                                                                                                       \
	{                                                                                                              \
		0, "json", OPT_FLAG, NULL, "Print JSON instead of text"                                                \
	}
#define FORCE_OPT(text)                                                                                                \
	{                                                                                                              \
		'f', "force", OPT_FLAG, NULL, text                                                                     \
	}
/* What events, flows and pcap filter by. */
#define FILTER_OPTS                                                                                                    \
	{ 'f', "follow", OPT_FLAG, NULL, "Keep printing what is added, until Ctrl-C" },                                \
	    { 'H', "honeypot", OPT_STRING, "NAME", "Only this honeypot; may be given more than once" },                \
	    { 0, "since", OPT_STRING, "TIME",                                                                          \
	      "Only from TIME on: RFC 3339 as in 2026-05-01T12:00:00Z, or an age as in 10m" },                         \
	    { 0, "until", OPT_STRING, "TIME", "Only before TIME" },                                                    \
	    { 0, "verdict", OPT_STRING, "VERDICT", "Only what was decided so: forward or drop" },                      \
	{                                                                                                              \
		0, "reason", OPT_STRING, "REASON", "Only what was decided for this reason, as in limit-tcp"            \
	}
#define DIR_OPT                                                                                                        \
	{                                                                                                              \
		0, "dir", OPT_STRING, "DIR", "Read this evidence directory instead of a honeynet's own"                \
	}

const struct command_opt command_common[] = {
	{ 'h', "help", OPT_FLAG, NULL, "Show what the command does" },
	{ 'q', "quiet", OPT_FLAG, NULL, "Print errors only, no progress and no remarks" },
	{ 0 },
};

const struct command command_table[] = {
	{ .name = "check",
	  .args = "FILE",
	  .brief = "check a honeynet file",
	  .text =
	      "Reads FILE, a honeynet in YAML (see skep.yaml(5)), and prints every problem as FILE:LINE:COL: what is "
	      "wrong. It starts nothing. Without a problem it prints a summary, with the policy in words.\n\n"
	      "Images that the file names and that are not there are problems too.\n\n"
	      "  skep check examples/self-contained.yaml",
	  .opts = OPTS(JSON_OPT),
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_FILE,
	  .perm = PERM_NONE },
	{ .name = "up",
	  .args = "FILE",
	  .brief = "start a honeynet, or apply its changed file",
	  .text =
	      "Starts the honeynet that FILE describes. If it runs already, only what differs is changed; if a step of "
	      "the change fails, the steps before it are undone and the honeynet is as it was. A start that fails "
	      "leaves "
	      "nothing behind but its evidence.\n\n"
	      "Two of them for one honeynet at the same time do not mix: the second waits for the first.\n\n"
	      "Started by root, each virtual machine gets a uid of its own and control groups. Started by an ordinary "
	      "user, all runs in a user namespace; skep doctor says what this computer allows.",
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_FILE,
	  .perm = PERM_OPERATE },
	{ .name = "down",
	  .args = "NAME",
	  .brief = "stop a honeynet",
	  .text = "Halts every machine of the honeynet NAME, then its gateway and its evidence. Evidence and the "
		  "honeypots' "
		  "disks stay. If the honeynet does not run, that is said and is no failure.",
	  .opts = OPTS(FORCE_OPT("Kill the machines at once instead of asking them to halt, and everything if the "
				 "honeynet does not answer")),
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_OPERATE },
	{ .name = "ps",
	  .args = "[NAME]",
	  .brief = "show running honeynets and their honeypots",
	  .text =
	      "One line for each honeypot of each running honeynet, or of NAME only: state, backend, address, memory "
	      "(used on this computer, and given), time since it came up, whether it is frozen, and what of its jail "
	      "is in force.\n\n"
	      "FROZEN is \"yes\" after skep freeze of the honeypot, \"honeynet\" after that of the honeynet.\n\n"
	      "JAIL is \"full\" if every layer is in force; else it names what is missing.\n\n"
	      "With --verbose, one line for each thread of each process follows: its user, whether system call "
	      "filtering "
	      "(seccomp 2), no_new_privs and an empty capability bounding set are in force, and its open files.",
	  .opts = OPTS({ 'v', "verbose", OPT_FLAG, NULL, "Show every process and thread too" }, JSON_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_READ },
	{ .name = "console",
	  .args = "HONEYPOT",
	  .brief = "attach to a honeypot's serial console",
	  .text =
	      "Connects this terminal to the serial console of HONEYPOT; Ctrl-] detaches. What was printed before is "
	      "shown first. Several may attach at the same time: the first one types, the others watch.\n\n"
	      "HONEYPOT is its name; where two running honeynets have one of that name, it is NET/HONEYPOT.\n\n"
	      "Whoever owns the honeypot decides which bytes come out of its console, and control sequences can do "
	      "harm to "
	      "some terminals. By default, therefore, only cursor movement, colours and line editing pass, and all "
	      "else "
	      "is shown as \\xNN. With --raw every byte goes to your terminal, which full-screen programs may need.\n\n"
	      "If standard input is not a terminal, its bytes are typed into the console, and the command ends when "
	      "the "
	      "input has ended and the console has been silent for --wait seconds.",
	  .opts =
	      OPTS({ 'r', "readonly", OPT_FLAG, NULL, "Only watch" },
		   { 't', "take", OPT_FLAG, NULL, "Take the keyboard from whoever has it" },
		   { 0, "raw", OPT_FLAG, NULL, "Pass every byte of the guest to this terminal" },
		   { 0, "safe", OPT_FLAG, NULL, "Show every control byte but newline and tab as \\xNN" },
		   { 'w', "wait", OPT_SECONDS, "TIME", "Without a terminal: how long to wait for output, as in 5s" }),
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_HONEYPOT,
	  .perm = PERM_OPERATE },
	{ .name = "start",
	  .args = "HONEYPOT...",
	  .brief = "start stopped honeypots",
	  .text = "Starts honeypots that were stopped or have failed, with the disk that they had.",
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_HONEYPOT,
	  .perm = PERM_OPERATE },
	{ .name = "stop",
	  .args = "HONEYPOT...",
	  .brief = "stop honeypots",
	  .text = "Asks the honeypots to halt. Their disks stay as they are. A machine that does not halt in time is "
		  "killed.",
	  .opts = OPTS(FORCE_OPT("Kill the machine at once, as when the power goes")),
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_HONEYPOT,
	  .perm = PERM_OPERATE },
	{ .name = "pause",
	  .args = "HONEYPOT...",
	  .brief = "freeze honeypots in memory",
	  .text = "Stops the honeypots' processors; memory and disk stay. skep resume lets them run on.",
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_HONEYPOT,
	  .perm = PERM_OPERATE },
	{ .name = "resume",
	  .args = "HONEYPOT...",
	  .brief = "let paused honeypots run on",
	  .text = "Undoes skep pause.",
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_HONEYPOT,
	  .perm = PERM_OPERATE },
	{ .name = "reset",
	  .args = "HONEYPOT...",
	  .brief = "put honeypots back to their clean image",
	  .text =
	      "Kills the machines, discards all that was written to their disks, and starts them again from the clean "
	      "image. Evidence stays.\n\n"
	      "NET/HONEYPOT of a honeynet that does not run is possible too: its disk is discarded, and made anew at "
	      "the "
	      "next skep up.",
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_HONEYPOT,
	  .perm = PERM_OPERATE },
	{ .name = "freeze",
	  .args = "HONEYPOT|NAME...",
	  .brief = "cut honeypots off the network at once",
	  .text =
	      "The emergency switch. From now on the gateway drops every frame from and to HONEYPOT, or with the NAME "
	      "of "
	      "a honeynet of all its honeypots: known conversations, replies and the resolution of addresses included. "
	      "What is dropped is recorded, with the reason \"frozen\". The machines run on.\n\n"
	      "It holds until skep thaw: start, stop, reset and up do not end it; down, which ends everything, does. "
	      "Conversations stay known, and go on after skep thaw if both ends still wait.\n\n"
	      "If a honeynet and a honeypot have the same name, the honeynet is meant; the honeypot is "
	      "NET/HONEYPOT.\n\n"
	      "  skep freeze web1",
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_TARGET,
	  .perm = PERM_OPERATE },
	{ .name = "thaw",
	  .args = "HONEYPOT|NAME...",
	  .brief = "end skep freeze",
	  .text = "Lets the policy decide again. What was frozen by the honeynet's NAME is thawed by it, and honeypots "
		  "that were frozen by themselves stay so.",
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_TARGET,
	  .perm = PERM_OPERATE },
	{ .name = "policy explain",
	  .args = "POLICY",
	  .brief = "say what a policy lets out",
	  .text =
	      "Says in plain words what POLICY lets in and out, for each honeypot: what is never reached, what is "
	      "played "
	      "and never leaves, what has no limit, and how many conversations and bytes can leave in any hour and any "
	      "day at worst. The numbers are bounds: never too low.\n\n"
	      "POLICY is the name of a preset (see skep policy list), a file that holds only a policy, or a honeynet's "
	      "file.\n\n"
	      "  skep policy explain careful\n"
	      "  skep policy explain bees.yaml --honeypot web1",
	  .opts = OPTS({ 'H', "honeypot", OPT_STRING, "NAME", "Only this honeypot of the file" }, JSON_OPT),
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_FILE,
	  .perm = PERM_NONE },
	{ .name = "policy import",
	  .args = "FILE",
	  .brief = "make a policy of a Honeywall's configuration",
	  .text =
	      "Reads FILE, the honeywall.conf of a Honeywall (Roo 1.x), and writes a policy with the same limits and "
	      "lists. "
	      "What became of each variable stands in it as a comment, and what could not be mapped is printed too. "
	      "Nothing in FILE is executed.\n\n"
	      "Lists that FILE names are read at their path, or beside FILE. If a fence or black list that is enabled "
	      "cannot be read, nothing is written, since the policy would let out more than the Honeywall did.\n\n"
	      "  skep policy import /etc/honeywall.conf --output roo.yaml",
	  .opts = OPTS({ 'o', "output", OPT_STRING, "FILE", "Write to this file instead of standard output" },
		       FORCE_OPT("Replace the file if it is there")),
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_FILE,
	  .perm = PERM_NONE },
	{ .name = "policy list",
	  .args = "",
	  .brief = "list the policies that came with skep",
	  .text = "The presets: policies that a honeynet's file can begin with, by the key preset, and change.\n\n"
		  "  skep policy explain strict",
	  .opts = OPTS(JSON_OPT),
	  .min_args = 0,
	  .max_args = 0,
	  .kind = ARG_NONE,
	  .perm = PERM_NONE },
	{ .name = "policy apply",
	  .args = "FILE",
	  .brief = "change the policies of a running honeynet",
	  .text =
	      "Reads FILE as skep up does, and puts its policies, triggers and notices in force. Nothing else of FILE "
	      "may differ from what runs: if something does, nothing is changed, and the difference is named; that is "
	      "for skep up.\n\n"
	      "The gateway builds the new policies aside and swaps them between two frames: none passes unjudged, and "
	      "conversations keep their counts. Those that the new policies deny stop. If anything is wrong with them "
	      "the old ones stay. FILE is kept in the evidence.\n\n"
	      "Honeypots that a trigger had put under another policy have their own again.\n\n"
	      "With --policy all honeypots get the same policy. That of another file or a preset brings its own "
	      "triggers, named policies and notices; those of FILE do not count then.\n\n"
	      "  skep policy apply bees.yaml\n"
	      "  skep policy apply --dry-run bees.yaml\n"
	      "  skep policy apply --policy strict bees.yaml",
	  .opts = OPTS({ 0, "policy", OPT_STRING, "NAME",
			 "Put all honeypots under NAME: one of FILE's policies, a file with a policy, or a preset" },
		       { 0, "dry-run", OPT_FLAG, NULL, "Only say what would change" }),
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_FILE,
	  .perm = PERM_OPERATE },
	{ .name = "policy test",
	  .args = "FILE...",
	  .brief = "show what a policy would have done with captures",
	  .text =
	      "Runs the gateway over the captures FILE... (pcap or pcapng), in the capture's own time and with no "
	      "network, and shows how every packet is judged and exactly what would have left. It is the code that "
	      "runs "
	      "in a honeynet, in a process without network and files.\n\n"
	      "--policy names a preset, a file with a policy, or a honeynet's file. Honeypots and networks are those "
	      "of "
	      "the honeynet's file; with --honeypot they are the addresses named there, each with the policy of the "
	      "file's honeypot NAME, or with the file's policy for all.\n\n"
	      "A capture is a recording of what both sides sent. Where the policy stops a conversation, its later "
	      "packets "
	      "would never have been: they are in the capture all the same, are judged as they stand, and mostly have "
	      "the verdict drop no-flow. A conversation is therefore counted once, under the mildest verdict that one "
	      "of its packets met, and under the reason of the first that met it. For the same reason nobody answers "
	      "what the policy reflects or sends to a sinkhole.\n\n"
	      "The report: honeypots and what is peculiar about the capture; packets, bytes and conversations by "
	      "verdict "
	      "and reason; what would have left, by honeypot, protocol and destination, where began is what the "
	      "honeypot "
	      "began, reply what it answered, and resolution ARP and neighbour discovery; what would have gone to "
	      "another honeypot, a sinkhole; how often each rule decided, and which never did. --against compares with "
	      "another policy. --packets prints a line for each packet before that.\n\n"
	      "--must-not-leave makes it a gate: the exit status is 1 if a conversation of which something would have "
	      "left is named by EXPR, and also if the capture does not say enough to tell. EXPR is made of any, tcp, "
	      "udp, icmp, proto N, port N or N-M (the port that was asked), host ADDR and net PREFIX (the side "
	      "outside), "
	      "honeypot NAME, bytes and packets with > >= < <= and a number as in 1M (of one conversation), began, "
	      "reply, resolution, and of not, and, or, and parentheses. Replies and the resolution of addresses are "
	      "asked only where EXPR has that word.\n\n"
	      "MACs: those of the honeynet's file if the capture has them; else that of the first frame with the "
	      "honeypot's address. If several honeypots share one, as behind a router, addresses tell them apart. "
	      "Without /LEN in --honeypot the network is the longest prefix that all addresses have in common, at most "
	      "/24 (IPv6 /64). Captures of skep itself say by their interfaces where a frame came in. A packet whose "
	      "checksum its sender left to a network card gets the right one, unless --as-captured is given. Several "
	      "captures are merged by time; they are read twice, so none can be a pipe.\n\n"
	      "The inline engine is taken to let everything pass, and limits are taken without their jitter: never "
	      "more "
	      "conversations leave than are shown, though it may be others. Two policies differ about a packet if "
	      "their "
	      "verdicts differ, and about a conversation also if other amounts of it leave.\n\n"
	      "  skep policy test attack.pcap --policy careful --honeypot 192.0.2.10\n"
	      "  skep policy test packets/*.pcapng --policy bees.yaml --against strict\n"
	      "  skep policy test a.pcap -P bees.yaml -m 'port 25 or bytes > 1M'",
	  .opts = OPTS({ 'P', "policy", OPT_STRING, "POLICY", "The policy that is tested: a preset or a file" },
		       { 'H', "honeypot", OPT_STRING, "[NAME=]ADDRESS[/LEN]",
			 "This address is a honeypot's; given again for more, and for more addresses of NAME" },
		       { 'a', "against", OPT_STRING, "POLICY", "Also show what would be different with this one" },
		       { 'm', "must-not-leave", OPT_STRING, "EXPR", "Fail if something leaves that EXPR names" },
		       { 'p', "packets", OPT_FLAG, NULL, "Print every packet with its verdict and reason" },
		       { 0, "as-captured", OPT_FLAG, NULL, "Leave checksums as they are in the capture" }, JSON_OPT),
	  .min_args = 1,
	  .max_args = 64,
	  .kind = ARG_FILE,
	  .perm = PERM_NONE },
	{ .name = "lab",
	  .args = "NAME -- CMD...",
	  .brief = "run a command as the intruder",
	  .text =
	      "Runs CMD in the lab of the honeynet NAME: the network namespace that plays the outside world. CMD "
	      "sees the "
	      "honeypots as an intruder would and has no other network. The exit status is that of CMD.\n\n"
	      "With --engine it runs where the two interfaces of the file's engine: interfaces are: an appliance that "
	      "forwards between them.\n\n"
	      "  skep lab demo -- nmap 192.0.2.10",
	  .opts = OPTS({ 0, "engine", OPT_FLAG, NULL, "Run CMD between the inline engine's interfaces" }),
	  .min_args = 2,
	  .max_args = -1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_OPERATE },
	{ .name = "events",
	  .args = "[NAME]",
	  .brief = "read recorded events",
	  .text = "Prints the events of the honeynet NAME: machines that started or failed, what data control decided, "
		  "what "
		  "operators did. NAME may be left out if there is only one honeynet. With --json each line is an "
		  "object in "
		  "the EVE format.",
	  .opts = OPTS(FILTER_OPTS, { 't', "type", OPT_STRING, "TYPE", "Only this event type, as in machine" },
		       { 'n', "lines", OPT_NUMBER, "N", "Only the last N" }, DIR_OPT, JSON_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_READ },
	{ .name = "flows",
	  .args = "[NAME]",
	  .brief = "read recorded conversations",
	  .text =
	      "Prints the conversations of the honeynet NAME: who with whom, how much, and what data control decided "
	      "and "
	      "why. NAME may be left out if there is only one honeynet. With --json each line is an object in the EVE "
	      "format.",
	  .opts = OPTS(
	      FILTER_OPTS,
	      { 's', "summary", OPT_FLAG, NULL, "Counts only: what was let through and what was stopped, and why" },
	      { 'n', "lines", OPT_NUMBER, "N", "Only the last N" }, DIR_OPT, JSON_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_READ },
	{ .name = "pcap",
	  .args = "[NAME]",
	  .brief = "read recorded frames",
	  .text =
	      "Lists the recorded frames of the honeynet NAME, one line each, with verdict and reason. With --write it "
	      "writes them as one pcapng stream for Wireshark or tshark. NAME may be left out if there is only one "
	      "honeynet.\n\n"
	      "  skep pcap demo --verdict drop --write - | tshark -r -",
	  .opts = OPTS(FILTER_OPTS, { 'w', "write", OPT_STRING, "FILE", "Write pcapng to FILE; - is standard output" },
		       { 'n', "lines", OPT_NUMBER, "N", "Only the last N" }, DIR_OPT, JSON_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_READ },
	{ .name = "verify",
	  .args = "[NAME]",
	  .brief = "check that evidence is as it was recorded",
	  .text =
	      "Reads the journal of the honeynet NAME and every file that it tells of, and says what is missing or was "
	      "changed: file, byte and record. The exit status is 0 if all is as recorded, 1 if anything is not, 2 if "
	      "the "
	      "command was not understood. It may be used while the honeynet runs: what is still being written is no "
	      "error.\n\n"
	      "The exit status is 3 if all is as recorded, but the end is not sealed: it is being written now, or a "
	      "crash ended it, or somebody cut it off.\n\n"
	      "The journal is signed with keys that are thrown away after use. Who takes this computer over cannot "
	      "change what was recorded before; but he can make everything anew, or cut it off at an earlier orderly "
	      "end. An anchor, kept on another computer, tells: see skep anchor, and --from.\n\n"
	      "skep-verify DIRECTORY checks the same and shares nothing with skep but the format.",
	  .opts = OPTS(DIR_OPT,
		       { 0, "from", OPT_STRING, "ANCHOR",
			 "Check that this anchor is in the journal, or each line of this file; may be given more than "
			 "once" },
		       JSON_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_READ },
	{ .name = "anchor",
	  .args = "[NAME]",
	  .brief = "print where the journal stands now",
	  .text =
	      "Prints one line: the number, hash and time of the last record that the journal of the honeynet NAME "
	      "has committed, with its hash and time; on a terminal also as a QR code, for a camera. Keep it where "
	      "an "
	      "intruder on this computer cannot change it; skep verify with its option from then shows whether all "
	      "that was recorded until now is still there.\n\n"
	      "  skep anchor demo --exec ssh --exec backup --exec 'cat >>anchors'\n\n"
	      "Nothing does this by itself: let a timer of the system do it, once an hour, say.\n\n"
	      "A time-stamping authority (RFC 3161) can say when an anchor was there. --tsq writes the request, which "
	      "holds only a hash; its answer proves nothing without the anchor, so keep both.\n\n"
	      "  skep anchor demo --tsq a.tsq >>anchors\n"
	      "  curl -H Content-Type:application/timestamp-query \\\n"
	      "    --data-binary @a.tsq https://... >a.tsr\n"
	      "  skep anchor --tsr a.tsr --from anchors --ca tsa.pem",
	  .opts =
	      OPTS(DIR_OPT,
		   { 0, "exec", OPT_STRING, "PROGRAM",
		     "Give the anchor to PROGRAM on its standard input instead; given again: its arguments. No shell" },
		   { 0, "no-qr", OPT_FLAG, NULL, "No QR code" },
		   { 0, "tsq", OPT_STRING, "FILE", "Write a time-stamp request over the anchor too" },
		   { 0, "tsr", OPT_STRING, "FILE",
		     "Check this time-stamp response; --from says of which anchor. Reads no evidence" },
		   { 0, "from", OPT_STRING, "ANCHOR", "With --tsr: the anchor, or a file of anchors" },
		   { 0, "ca", OPT_STRING, "FILE",
		     "With --tsr: the authority's certificates (PEM); without, only what was stamped is checked" }),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_READ },
	{ .name = "export",
	  .args = "[NAME]",
	  .brief = "write evidence for other programs",
	  .text =
	      "Writes the evidence of the honeynet NAME, or what --since, --until, --honeypot and --session leave of "
	      "it, "
	      "in the order of time. NAME may be left out if there is only one honeynet. The formats:\n\n"
	      "eve: the events, one JSON object a line, as they are in the evidence.\n\n"
	      "timesketch: the events as a timeline for Timesketch, JSON lines.\n\n"
	      "stix: a STIX 2.1 bundle of what was observed, and of who tried to log in.\n\n"
	      "pcapng: the frames, with their verdicts, for Wireshark or tshark. Of a session: those of the "
	      "conversation "
	      "that carried it, and of the conversations that its processes made.\n\n"
	      "casts: a folder with one asciicast (version 2) for each terminal of each session.\n\n"
	      "The file is there whole or not at all, and none is replaced without --force. If some of the evidence is "
	      "damaged, the rest is written and the exit status is 1.\n\n"
	      "  skep export shop --format timesketch -o shop.jsonl",
	  .opts = OPTS({ 'F', "format", OPT_STRING, "FORMAT", "One of eve, timesketch, stix, pcapng, casts" },
		       { 'o', "output", OPT_STRING, "FILE",
			 "Write to FILE, for casts into the folder FILE; without it, or with -, to standard output" },
		       { 'f', "force", OPT_FLAG, NULL, "Replace FILE if it is there" },
		       { 'H', "honeypot", OPT_STRING, "NAME", "Only this honeypot; may be given more than once" },
		       { 's', "session", OPT_STRING, "ID", "Only this session" },
		       { 0, "since", OPT_STRING, "TIME",
			 "Only from TIME on: RFC 3339 as in 2026-05-01T12:00:00Z, or an age as in 10m" },
		       { 0, "until", OPT_STRING, "TIME", "Only before TIME" }, DIR_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_READ },
	{ .name = "watch",
	  .args = "[HONEYPOT|NAME]",
	  .brief = "look over the intruder's shoulder",
	  .text = "Shows what happens on the terminals inside HONEYPOT, or of all honeypots of the honeynet NAME or of "
		  "every "
		  "honeynet, while it happens, until Ctrl-C. If one session has a terminal, and this is a terminal "
		  "too, its "
		  "screen is drawn. Else, and with --lines, each line is printed with its time, honeypot, session and "
		  "terminal; a line is printed when it is complete.\n\n"
		  "Only what draws on the screen passes (see skep console); every other control byte is shown as "
		  "\\xNN. With "
		  "--raw the intruder's bytes go to your terminal as they are.\n\n"
		  "  skep watch web1",
	  .opts = OPTS({ 's', "session", OPT_STRING, "ID", "Only this session; ends with it" },
		       { 'l', "lines", OPT_FLAG, NULL, "Print lines even if there is only one session" },
		       { 0, "raw", OPT_FLAG, NULL, "Pass every byte of the guest to this terminal" },
		       { 0, "safe", OPT_FLAG, NULL, "Show every control byte but newline and tab as \\xNN" }, DIR_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_TARGET,
	  .perm = PERM_READ },
	{ .name = "sessions",
	  .args = "[HONEYPOT|NAME]",
	  .brief = "list intruders' sessions",
	  .text =
	      "One line for each session that was seen inside HONEYPOT, or the honeypots of the honeynet NAME, or all: "
	      "who "
	      "came from where, as which user, with which password, for how long, how much was typed and shown, and "
	      "the "
	      "flow_id of the conversation that carried it (skep flows), once that has ended.\n\n"
	      "A + behind DURATION: the session goes on. A number behind PASSWORD: how many other attempts there were. "
	      "COMMANDS counts lines that were typed.\n\n"
	      "  skep sessions demo --since 1h --from 198.51.100.0/24",
	  .opts = OPTS({ 'H', "honeypot", OPT_STRING, "NAME", "Only this honeypot; may be given more than once" },
		       { 'u', "user", OPT_STRING, "USER", "Only those who came, or tried to come, as USER" },
		       { 0, "from", OPT_STRING, "ADDRESS", "Only from this address or prefix" },
		       { 0, "since", OPT_STRING, "TIME",
			 "Only what lasted to TIME: RFC 3339 as in 2026-05-01T12:00:00Z, or an age as in 10m" },
		       { 0, "until", OPT_STRING, "TIME", "Only what began before TIME" },
		       { 'n', "lines", OPT_NUMBER, "N", "Only the last N" }, DIR_OPT, JSON_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_TARGET,
	  .perm = PERM_READ },
	{ .name = "session",
	  .args = "ID",
	  .brief = "show everything about one session",
	  .text =
	      "Who it was, which logins were tried, what was typed and what was executed, which files were touched, "
	      "which "
	      "connections made, the tree of processes, and how much was lost. ID is that of skep sessions; its first "
	      "digits are enough if no other session has them.",
	  .opts = OPTS({ 'a', "all", OPT_FLAG, NULL, "Show more than 200 lines of each kind" }, DIR_OPT, JSON_OPT),
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_WORD,
	  .perm = PERM_READ },
	{ .name = "replay",
	  .args = "ID",
	  .brief = "play a session once more, or export it",
	  .text =
	      "Shows the terminal of the session ID as it was, with the pauses that it had. As in skep watch, only "
	      "what "
	      "draws on the screen reaches a terminal, and into a file or pipe no control byte at all, unless --raw is "
	      "given.\n\n"
	      "With --export it writes the whole session at once. cast is asciicast version 2, with input and output: "
	      "its "
	      "text is UTF-8, so bytes that are not became U+FFFD. ttyrec has the output byte for byte. txt is the "
	      "lines of "
	      "the screen without control characters; what full-screen programs drew is flattened. html is the same in "
	      "one "
	      "file without scripts, with times, the logins and what was typed.\n\n"
	      "A session with several terminals (tmux, screen) shows the outer one; --tty chooses another, as in "
	      "pts/1.\n\n"
	      "  skep replay 3f2a --speed 4 --idle 2s",
	  .opts =
	      OPTS({ 's', "speed", OPT_STRING, "N", "So many times faster, as in 2 or 0.5; max leaves out all pauses" },
		   { 'i', "idle", OPT_SECONDS, "TIME", "Shorten longer pauses to TIME, as in 2s" },
		   { 't', "tty", OPT_STRING, "TTY", "Another terminal of the session than its first" },
		   { 'e', "export", OPT_STRING, "FORMAT", "Write cast, ttyrec, txt or html" },
		   { 'o', "output", OPT_STRING, "FILE", "Write the export to FILE instead of standard output" },
		   { 0, "raw", OPT_FLAG, NULL, "Pass every byte of the guest to this terminal" },
		   { 0, "safe", OPT_FLAG, NULL, "Show every control byte but newline and tab as \\xNN" }, DIR_OPT),
	  .min_args = 1,
	  .max_args = 1,
	  .kind = ARG_WORD,
	  .perm = PERM_READ },
	{ .name = "tree",
	  .args = "[HONEYPOT|NAME]",
	  .brief = "show processes, with what they did",
	  .text =
	      "The processes of the sessions inside HONEYPOT, or the honeypots of the honeynet NAME, or all, as trees: "
	      "who "
	      "started whom, what was executed, what was typed into it (>), and the connections and files of each (-).",
	  .opts = OPTS({ 's', "session", OPT_STRING, "ID", "Only the processes of this session" },
		       { 'a', "all", OPT_FLAG, NULL, "Processes of no session too" }, DIR_OPT, JSON_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_TARGET,
	  .perm = PERM_READ },
	{ .name = "search",
	  .args = "WORD...",
	  .brief = "search what was typed, shown and executed",
	  .text = "Finds the lines that have every WORD: on the screens, in what was typed, in commands, executed "
		  "programs with "
		  "their arguments, names of files, logins, and events. Control sequences are taken out before, so "
		  "that colours "
		  "do not hide words. A WORD ending in * stands for all that begin with it; case does not matter; "
		  "characters "
		  "that are no letters or digits separate words, and several in one WORD must stand in this order.\n\n"
		  "The index is index.sqlite beside the honeynet's evidence; it is brought up to date first. It is "
		  "derived: "
		  "delete it as you like. With --dir it is made in memory, unless --index names a file.\n\n"
		  "  skep search wget 203.0.113.7",
	  .opts = OPTS(
	      { 'N', "net", OPT_STRING, "NAME", "Only in this honeynet" },
	      { 'H', "honeypot", OPT_STRING, "NAME", "Only on this honeypot" },
	      { 's', "session", OPT_STRING, "ID", "Only in this session" },
	      { 'k', "kind", OPT_STRING, "KIND", "Only output, input, command, exec, file, socket, login or event" },
	      { 'n', "lines", OPT_NUMBER, "N", "At most the last N, 1000 if not given" },
	      { 0, "index", OPT_STRING, "FILE", "Keep the index in FILE" }, DIR_OPT, JSON_OPT),
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_WORD,
	  .perm = PERM_READ },
	{ .name = "reindex",
	  .args = "[NAME]",
	  .brief = "make the search index anew",
	  .text = "Deletes the search index of the honeynet NAME, or of all, and makes it anew from the evidence. The "
		  "evidence is only read.",
	  .opts = OPTS({ 0, "index", OPT_STRING, "FILE", "Make the index in FILE" }, DIR_OPT),
	  .min_args = 0,
	  .max_args = 1,
	  .kind = ARG_HONEYNET,
	  .perm = PERM_READ },
	{ .name = "rules",
	  .args = "[check] FILE|NAME...",
	  .brief = "check the inline engine's rules, or show the engine",
	  .text =
	      "For each FILE of rules for Suricata: every problem as FILE:LINE: what Suricata says, and how many rules "
	      "it loads, refuses, and how many are disabled by a # in front. The exit status is 1 if one is "
	      "refused.\n\n"
	      "For the NAME of a running honeynet: whether its inline engine runs, since which version, why not, and "
	      "how many frames and alerts there were.\n\n"
	      "  skep rules check /etc/suricata/rules/local.rules",
	  .opts = OPTS(JSON_OPT),
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_FILE,
	  .perm = PERM_READ },
	{ .name = "image build",
	  .args = "RECIPE...",
	  .brief = "build honeypot images from recipes",
	  .text = "Builds each RECIPE: a name of a recipe that came with skep, or a directory with a recipe in it. "
		  "What was "
		  "built before from the same recipe is used again, without the network.",
	  .opts = OPTS({ 'n', "name", OPT_STRING, "NAME", "Call the image NAME instead of by its recipe" },
		       FORCE_OPT("Build again even if nothing changed")),
	  .min_args = 1,
	  .max_args = -1,
	  .kind = ARG_IMAGE,
	  .perm = PERM_OPERATE },
	{ .name = "image list",
	  .args = "",
	  .brief = "list honeypot images",
	  .text = "Lists the images that are there, with size, recipe and content hash, and the recipes that could be "
		  "built.",
	  .opts = OPTS(JSON_OPT),
	  .min_args = 0,
	  .max_args = 0,
	  .kind = ARG_NONE,
	  .perm = PERM_READ },
	{ .name = "image import",
	  .args = "NAME FILE",
	  .brief = "make a disk file an image",
	  .text = "Copies FILE, a raw disk with one ext4 file system and no partitions, to the image NAME.",
	  .opts = OPTS(FORCE_OPT("Replace an image of that name")),
	  .min_args = 2,
	  .max_args = 2,
	  .kind = ARG_FILE,
	  .perm = PERM_OPERATE },
	{ .name = "doctor",
	  .args = "",
	  .brief = "say what this computer can do",
	  .text = "Tries what skep needs and prints one line for each: OK, WARN (works with less), or MISSING, with "
		  "the command "
		  "that mends it. The exit status is 1 if something needed is missing.",
	  .opts = OPTS(JSON_OPT),
	  .min_args = 0,
	  .max_args = 0,
	  .kind = ARG_NONE,
	  .perm = PERM_NONE },
	{ .name = "backends",
	  .args = "",
	  .brief = "say which backend can do what",
	  .text = "A backend is the software that runs a honeypot. Prints for each what it can do, and why it cannot "
		  "do the "
		  "rest.",
	  .opts = OPTS(JSON_OPT),
	  .min_args = 0,
	  .max_args = 0,
	  .kind = ARG_NONE,
	  .perm = PERM_NONE },
	{ .name = "help",
	  .args = "[COMMAND]",
	  .brief = "show help on a command",
	  .text = "Without a COMMAND, lists them all.",
	  .min_args = 0,
	  .max_args = 2,
	  .kind = ARG_COMMAND,
	  .perm = PERM_NONE },
	{ 0 },
};

/* How many of argv's words c's name takes, 0 if it is not c. */
static int words_of(const struct command *c, int argc, char **argv)
{
	const char *p = c->name;
	int i = 0;
	for (;;) {
		size_t n = strcspn(p, " ");
		if (i >= argc || strlen(argv[i]) != n || memcmp(argv[i], p, n) != 0)
			return 0;
		i++;
		if (!p[n])
			return i;
		p += n + 1;
	}
}

const struct command *command_find(int argc, char **argv, int *words)
{
	const struct command *best = NULL;
	int most = 0;
	for (const struct command *c = command_table; c->name; c++) {
		int n = words_of(c, argc, argv);
		if (n > most) {
			most = n;
			best = c;
		}
	}
	if (best)
		*words = most;
	return best;
}

static const struct command_opt *in(const struct command_opt *o, const char *name, size_t len, char letter)
{
	for (; o && o->name; o++)
		if (name ? strlen(o->name) == len && !memcmp(o->name, name, len) : letter && o->letter == letter)
			return o;
	return NULL;
}

const struct command_opt *command_opt(const struct command *c, const char *name, size_t len, char letter)
{
	const struct command_opt *o = in(c ? c->opts : NULL, name, len, letter);
	return o ? o : in(command_common, name, len, letter);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned command_distance(const char *a, const char *b)
{
	enum { CAP = 32 };
	size_t n = strlen(a), m = strlen(b);
	if (n >= CAP || m >= CAP)
		return CAP;
	/* Damerau's distance with optimal string alignment, three rows. */
	unsigned row[3][CAP];
	unsigned *two = row[0], *one = row[1], *now = row[2];
	for (size_t j = 0; j <= m; j++)
		one[j] = (unsigned)j;
	memcpy(two, one, sizeof(row[0]));
	for (size_t i = 1; i <= n; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned differ = a[i - 1] != b[j - 1];
			now[j] = least(least(one[j] + 1, now[j - 1] + 1), one[j - 1] + differ);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], two[j - 2] + 1);
		}
		unsigned *gone = two;
		two = one;
		one = now;
		now = gone;
	}
	return one[m];
}

struct near {
	const char *typed, *best;
	unsigned distance;
};

static void try_word(struct near *s, const char *word)
{
	unsigned d = command_distance(s->typed, word);
	size_t n = strlen(word);
	unsigned most = n <= 3 ? 1 : 2;
	if (d <= most && d < s->distance && d < n) {
		s->distance = d;
		s->best = word;
	}
}

const char *command_near(const char *typed)
{
	struct near s = { typed, NULL, ~0u };
	for (const struct command *c = command_table; c->name; c++)
		try_word(&s, c->name);
	return s.best;
}

const char *command_opt_near(const struct command *c, const char *typed)
{
	struct near s = { typed, NULL, ~0u };
	for (const struct command_opt *o = c ? c->opts : NULL; o && o->name; o++)
		try_word(&s, o->name);
	for (const struct command_opt *o = command_common; o->name; o++)
		try_word(&s, o->name);
	return s.best;
}
