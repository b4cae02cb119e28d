/* SPDX-License-Identifier: ISC */
#include "model/backend.h"

#include "model/model.h"

static const char *const op_names[BACKEND_OP_COUNT] = {
	[BACKEND_PREPARE] = "prepare", [BACKEND_START] = "start",     [BACKEND_STOP] = "stop",
	[BACKEND_KILL] = "kill",       [BACKEND_PAUSE] = "pause",     [BACKEND_RESUME] = "resume",
	[BACKEND_SUSPEND] = "suspend", [BACKEND_RESTORE] = "restore", [BACKEND_SNAPSHOT] = "snapshot",
	[BACKEND_RESET] = "reset",     [BACKEND_RESIZE] = "resize",
};

struct backend_caps {
	bool built;
	const char *text;
	const char *lacks[BACKEND_OP_COUNT];
};

static const struct backend_caps caps[BACKEND_COUNT] = {
	[BACKEND_UML] = {
		.built = true,
		.text = "User Mode Linux: Debian's user-mode-linux package, no virtualization hardware, one CPU",
		.lacks = {
			[BACKEND_SUSPEND] = "the kernel's guests are processes of the host, which cannot be saved",
			[BACKEND_RESTORE] = "there is nothing to restore from: it cannot suspend",
			[BACKEND_SNAPSHOT] = "only the disk could be kept, not the memory",
			[BACKEND_RESIZE] = "memory and CPUs are fixed at its start: change the file and run `skep up`",
		},
	},
	[BACKEND_QEMU] = { .text = "QEMU: KVM or emulation" },
	[BACKEND_BOCHS] = { .text = "Bochs: an emulated PC" },
	[BACKEND_VMWARE] = { .text = "VMware Workstation or Player, through vmrun" },
	[BACKEND_LIBVIRT] = { .text = "libvirt: ESX, VMware Server, remote QEMU, Xen" },
	[BACKEND_VMWARE_CMD] = { .text = "VMware Server, through vmware-cmd" },
};

const char *backend_op_name(unsigned op)
{
	return op < BACKEND_OP_COUNT ? op_names[op] : "?";
}

const char *backend_text(unsigned kind)
{
	return kind < BACKEND_COUNT ? caps[kind].text : "?";
}

bool backend_built(unsigned kind)
{
	return kind < BACKEND_COUNT && caps[kind].built;
}

const char *backend_lacks(unsigned kind, unsigned op)
{
	if (kind >= BACKEND_COUNT || op >= BACKEND_OP_COUNT)
		return "there is no such backend or operation";
	if (!caps[kind].built)
		return "not part of this version";
	return caps[kind].lacks[op];
}
