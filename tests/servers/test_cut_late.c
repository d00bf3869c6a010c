/* Goal: a command that the server gets after its step was tried again changes nothing any more.
 * Method: tests/support/cut.c, for every request of every step. */
#include "tests/support/cut.h"

int main(void)
{
    return cut_main("cut late", CUT_LATE);
}
