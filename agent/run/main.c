/* main.c - the door. */
#include "run/cli.h"

int
main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
