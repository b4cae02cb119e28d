/* SPDX-License-Identifier: ISC */
/* What jail_bench starts: nothing at all. */
int main(void)
{
	return 0;
}
