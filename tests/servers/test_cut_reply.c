/* Goal: a reply that is lost, wherever in a step, is told as such and made good by trying again.
 * Method: tests/support/cut.c, for every request of every step. */
#include "tests/support/cut.h"

int main(void)
{
    return cut_main("cut reply", CUT_REPLY);
}
