/* Goal: a request that never reached the server has written nothing, and it takes another try only.
 * Method: tests/support/cut.c, for every request of every step. */
#include "tests/support/cut.h"

int main(void)
{
    return cut_main("cut request", CUT_REQUEST);
}
