/* Goal: a command that the server fails in the middle of a step, between the parts of a batch too,
 * is told as what it may have done, and nothing is lost or doubled by trying again.
 * Method: tests/support/cut.c by fail points, which one server has: each command of every step is
 * refused; refused with a code that says nothing; carried out and then told as not safe. */
#include "tests/support/cut.h"

int main(void)
{
    static const enum cut_fault faults[] = {CUT_REFUSED, CUT_INTERNAL, CUT_CONCERN};
    int result = 0;
    for (int i = 0; i < 3 && result != 77; i++) {
        int rc = cut_main("cut fails", faults[i]);
        result = rc != 0 ? rc : result;
    }
    return result;
}
