/* Puts a terminal's screen, as `tmux capture-pane -peN` gives it on standard input, into a form to
 * be kept and compared: each row, and below it a letter for the look of each cell, as far as there
 * is anything to see; at the end what each letter means. Letters go to looks in the order in which
 * they come up; no letter is the terminal's own look. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 1000, LOOKS_MAX = 52, PARAMETERS_MAX = 32, COLOUR_BYTES = 16 };

struct look {
    bool bold, dim, underline, reverse;
    char fore[COLOUR_BYTES], back[COLOUR_BYTES]; /* "": the terminal's own */
};

struct screen {
    struct look now, looks[LOOKS_MAX];
    int n_looks;
    char row[COLUMNS_MAX * 4 + 1], letters[COLUMNS_MAX + 1];
    size_t row_len;
    int n_cells;
};

static char letter_of(struct screen *screen)
{
    static const struct look own;
    if (memcmp(&screen->now, &own, sizeof(own)) == 0)
        return ' ';
    int i = 0;
    while (i < screen->n_looks && memcmp(&screen->looks[i], &screen->now, sizeof(own)) != 0)
        i++;
    if (i == LOOKS_MAX) {
        fputs("looks: too many of them\n", stderr);
        exit(1);
    }
    screen->looks[i] = screen->now;
    screen->n_looks += i == screen->n_looks ? 1 : 0;
    return (char)(i < 26 ? 'a' + i : 'A' + i - 26);
}

/* A colour of 256, or of 24 bits: what follows 38 or 48. Returns how many numbers it took. */
static int colour_long(char colour[COLOUR_BYTES], const int *numbers, int n)
{
    if (n >= 2 && numbers[0] == 5) {
        snprintf(colour, COLOUR_BYTES, "%d", numbers[1]);
        return 2;
    }
    if (n >= 4 && numbers[0] == 2) {
        snprintf(colour, COLOUR_BYTES, "#%02x%02x%02x", (unsigned)numbers[1] & 255U,
                 (unsigned)numbers[2] & 255U, (unsigned)numbers[3] & 255U);
        return 4;
    }
    return n;
}

static void look_set(struct look *look, const int *numbers, int n)
{
    for (int i = 0; i < n; i++) {
        int number = numbers[i];
        if (number == 0)
            memset(look, 0, sizeof(*look));
        look->bold = number == 1 || (look->bold && number != 22);
        look->dim = number == 2 || (look->dim && number != 22);
        look->underline = number == 4 || (look->underline && number != 24);
        look->reverse = number == 7 || (look->reverse && number != 27);
        bool back = (number >= 40 && number < 50) || number >= 100;
        char *colour = back ? look->back : look->fore;
        if (number == 38 || number == 48) {
            memset(colour, 0, COLOUR_BYTES);
            i += colour_long(colour, numbers + i + 1, n - i - 1);
        } else if ((number >= 30 && number <= 49) || (number >= 90 && number <= 107)) {
            memset(colour, 0, COLOUR_BYTES);
            if (number % 10 < 8)
                snprintf(colour, COLOUR_BYTES, "%d", number % 10 + (number >= 90 ? 8 : 0));
        }
    }
}

static void escape_take(struct screen *screen)
{
    int numbers[PARAMETERS_MAX] = {0}, n = 1, c = getchar();
    if (c != '[')
        return;
    while ((c = getchar()) != EOF && (c == ';' || c == ':' || (c >= '0' && c <= '9')))
        if (c < '0' || c > '9')
            n += n < PARAMETERS_MAX ? 1 : 0;
        else if (numbers[n - 1] < 1000)
            numbers[n - 1] = numbers[n - 1] * 10 + (c - '0');
    if (c == 'm')
        look_set(&screen->now, numbers, n);
}

static void row_end(struct screen *screen)
{
    int n = screen->n_cells;
    while (n > 0 && screen->letters[n - 1] == ' ')
        n--;
    screen->letters[n] = '\0';
    /* Spaces without a look at the end of the row show nothing. */
    while (screen->row_len > 0 && screen->n_cells > n && screen->row[screen->row_len - 1] == ' ') {
        screen->row_len--;
        screen->n_cells--;
    }
    screen->row[screen->row_len] = '\0';
    printf("%s\n", screen->row);
    if (n > 0)
        printf("%s\n", screen->letters);
    screen->row_len = 0;
    screen->n_cells = 0;
}

static void legend_print(const struct screen *screen)
{
    for (int i = 0; i < screen->n_looks; i++) {
        const struct look *look = &screen->looks[i];
        printf("%c:%s%s%s%s%s%s%s%s\n", i < 26 ? 'a' + i : 'A' + i - 26, look->bold ? " bold" : "",
               look->dim ? " dim" : "", look->underline ? " underlined" : "",
               look->reverse ? " reversed" : "", look->fore[0] != '\0' ? " " : "", look->fore,
               look->back[0] != '\0' ? " on " : "", look->back);
    }
}

int main(void)
{
    static struct screen screen;
    for (int c; (c = getchar()) != EOF;) {
        if (c == '\033') {
            escape_take(&screen);
        } else if (c == '\n') {
            row_end(&screen);
        } else if (c >= ' ' && screen.n_cells < COLUMNS_MAX &&
                   screen.row_len + 1 < sizeof(screen.row)) {
            if ((c & 0xc0) != 0x80) /* not in the middle of a character */
                screen.letters[screen.n_cells++] = letter_of(&screen);
            screen.row[screen.row_len++] = (char)c;
        }
    }
    legend_print(&screen);
    return 0;
}
