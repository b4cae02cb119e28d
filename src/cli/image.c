/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"

int cmd_image_build(struct cmd *c)
{
	return cmd_fail(c, "image build: not built yet");
}

int cmd_image_list(struct cmd *c)
{
	return cmd_fail(c, "image list: not built yet");
}

int cmd_image_import(struct cmd *c)
{
	return cmd_fail(c, "image import: not built yet");
}
