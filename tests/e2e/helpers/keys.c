/* Prints every key of the observer as tmux writes it, one a line with what it is for: the view's
 * number where it holds in one view only (else 0), a 1 where it needs --control, the key. */
#include <stdio.h>

#include "observer/keys.h"

static void print(int code)
{
    static const struct {
        int code;
        const char *name;
    } named[] = {
        {KEYS_UP, "Up"},
        {KEYS_DOWN, "Down"},
        {KEYS_LEFT, "Left"},
        {KEYS_RIGHT, "Right"},
        {KEYS_PAGE_UP, "PPage"},
        {KEYS_PAGE_DOWN, "NPage"},
        {KEYS_HOME, "Home"},
        {KEYS_END, "End"},
        {KEYS_ESC, "Escape"},
        {KEYS_BACKSPACE, "BSpace"},
        {'\t', "Tab"},
        {'\r', "Enter"},
        {'\n', "C-j"},
        {' ', "Space"},
        {3, "C-c"},
        {12, "C-l"},
        {KEYS_WHEEL_UP, ""},
        {KEYS_WHEEL_DOWN, ""},
    };
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if (named[i].code == code) {
            puts(named[i].name);
            return;
        }
    printf("%c\n", code);
}

int main(void)
{
    size_t n;
    const struct key *keys = keys_all(&n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof(keys[i].codes) / sizeof(keys[i].codes[0]); k++) {
            int view = 0;
            while (keys[i].views != 0 && (keys[i].views & 1U << view) == 0)
                view++;
            if (keys[i].codes[k] == KEYS_NONE)
                continue;
            printf("%d %d ", keys[i].views != 0 ? view + 1 : 0, keys[i].control ? 1 : 0);
            print(keys[i].codes[k]);
        }
    return 0;
}
