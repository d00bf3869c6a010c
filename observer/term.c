/* The terminal (observer/term.h).
 *
 * What restores the terminal is worked out when it is opened, so that a crash can do it by writing
 * and one tcsetattr, which signal handlers may; the program then dies of its signal as it would
 * have. State of the process: there is one terminal. */
#define _XOPEN_SOURCE_EXTENDED 1
#define _GNU_SOURCE
#include "observer/term.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include "observer/keys.h"
#include "observer/palette.h"

#undef KEY_EVENT /* names of ncurses that are not wanted */

/* What ends the program without asking; SIGQUIT is a slip from the key of filters. */
static const int fatal[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,  SIGABRT,
                            SIGQUIT, SIGTRAP, SIGSYS, SIGXCPU, SIGALRM};
enum { FATALS = sizeof(fatal) / sizeof(fatal[0]) };

static struct {
    SCREEN *terminal;
    int colours;
    bool ascii;
    char restore[256]; /* what to write to have the terminal as it was */
    size_t n_restore;
    struct termios before;
    bool termios_known;
    struct sigaction handlers[FATALS];
    struct grid *shown; /* as last drawn; NULL: draw all */
    volatile sig_atomic_t resized;
    struct sigaction resize_handler; /* the one before */
    volatile sig_atomic_t resumed;
    struct sigaction resume_handler; /* likewise */
} screen;

/* ---- as it was ------------------------------------------------------------------------------ */

static void restore_add(const char *capability)
{
    const char *text = tigetstr(capability);
    if (text == NULL || text == (const char *)-1)
        return;
    size_t len = strlen(text);
    if (screen.n_restore + len < sizeof(screen.restore)) {
        memcpy(screen.restore + screen.n_restore, text, len);
        screen.n_restore += len;
    }
}

static void crashed(int number)
{
    ssize_t ignored = write(STDOUT_FILENO, screen.restore, screen.n_restore);
    (void)ignored;
    if (screen.termios_known)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
    signal(number, SIG_DFL);
    raise(number);
}

/* A terminal that was small for a moment has lost what it showed, also where it is as large as
 * before when it is asked: ncurses would not notice. */
static void resized(int number)
{
    (void)number;
    screen.resized = 1;
}

/* Who was stopped by SIGSTOP could not put the terminal right before, and it may not be as it was.
 */
static void resumed(int number)
{
    (void)number;
    screen.resumed = 1;
}

static void restore_prepare(void)
{
    static const char mouse_off[] = "\033[?1006l\033[?1000l";
    restore_add("sgr0");
    restore_add("cnorm");
    if (tigetstr("kmous") != NULL && tigetstr("kmous") != (const char *)-1) {
        memcpy(screen.restore + screen.n_restore, mouse_off, sizeof(mouse_off) - 1);
        screen.n_restore += sizeof(mouse_off) - 1;
    }
    restore_add("rmkx");
    restore_add("rmcup");
    struct sigaction action = {.sa_handler = crashed, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < FATALS; i++)
        sigaction(fatal[i], &action, &screen.handlers[i]);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int colours_of(void)
{
    const char *no_colour = getenv("NO_COLOR");
    if ((no_colour != NULL && no_colour[0] != '\0') || !has_colors() || start_color() == ERR)
        return 0;
    use_default_colors();
    bool direct = tigetflag("RGB") > 0 || COLORS >= 1 << 24;
    return direct ? 1 << 24 : COLORS >= 256 ? 256 : COLORS >= 16 ? 16 : COLORS >= 8 ? 8 : 0;
}

static void pairs_make(void)
{
    uint8_t style;
    for (int role = 0; screen.colours > 0 && role < ROLES; role++)
        init_extended_pair(role + 1, palette_colour((enum role)role, screen.colours, &style), -1);
}

/* One that ncurses can draw on: it would take any, and write nonsense to those it cannot. */
static int terminal_check(struct error *err)
{
    const char *kind = getenv("TERM");
    int rc = 0;
    if (kind == NULL || kind[0] == '\0')
        return error_set(err, ERR_UNAVAILABLE, "TERM is not set: use --once for plain text");
    if (setupterm(kind, STDOUT_FILENO, &rc) == ERR)
        return error_set(err, ERR_UNAVAILABLE,
                         "no terminal of the kind TERM=%.60s is known here: use another kind, or "
                         "--once for plain text",
                         kind);
    const char *place = tigetstr("cup");
    if (place == NULL || place == (const char *)-1)
        rc = error_set(err, ERR_UNAVAILABLE,
                       "a terminal of the kind TERM=%.60s has no cursor that can be placed: use "
                       "--once for plain text",
                       kind);
    else
        rc = 0;
    del_curterm(cur_term);
    return rc;
}

int term_open(struct error *err)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return error_set(err, ERR_UNAVAILABLE,
                         "this is no terminal: use --once for plain text, or --json");
    setlocale(LC_ALL, "");
    screen.termios_known = tcgetattr(STDIN_FILENO, &screen.before) == 0;
    if (terminal_check(err) < 0)
        return err->code;
    struct sigaction action = {.sa_handler = resized, .sa_flags = SA_RESTART};
    sigaction(SIGWINCH, &action, &screen.resize_handler); /* ncurses leaves it then */
    screen.terminal = newterm(NULL, stdout, stdin);
    if (screen.terminal == NULL) {
        sigaction(SIGWINCH, &screen.resize_handler, NULL);
        return error_set(err, ERR_UNAVAILABLE,
                         "the terminal cannot be used: try --once for plain text");
    }
    action.sa_handler = resumed;
    sigaction(SIGCONT, &action, &screen.resume_handler);
    screen.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    screen.n_restore = 0;
    restore_prepare();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
    mouseinterval(0);
    screen.colours = colours_of();
    pairs_make();
    return 0;
}

static void shown_forget(void)
{
    grid_free(screen.shown);
    screen.shown = NULL;
}

void term_close(void)
{
    if (screen.terminal == NULL)
        return;
    endwin();
    delscreen(screen.terminal);
    screen.terminal = NULL;
    shown_forget();
    for (size_t i = 0; i < FATALS; i++)
        sigaction(fatal[i], &screen.handlers[i], NULL);
    sigaction(SIGWINCH, &screen.resize_handler, NULL);
    sigaction(SIGCONT, &screen.resume_handler, NULL);
}

void term_size(int *ret_width, int *ret_height)
{
    struct winsize size;
    if (screen.resumed != 0) {
        screen.resumed = 0;
        reset_prog_mode();
        term_redraw();
    }
    if (screen.resized != 0) {
        screen.resized = 0;
        term_redraw();
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0 &&
        is_term_resized(size.ws_row, size.ws_col)) {
        resizeterm(size.ws_row, size.ws_col);
        shown_forget();
    }
    *ret_width = COLS;
    *ret_height = LINES;
}

bool term_ascii(void)
{
    return screen.ascii;
}

int term_colours(void)
{
    return screen.colours;
}

/* ---- showing -------------------------------------------------------------------------------- */

/* Without a colour of its own a cell gets no pair either: some terminals cannot have both a pair
 * and a style (the Linux console would leave out what is dim). */
static attr_t attributes_of(const struct cell *cell, int *ret_pair)
{
    uint8_t more;
    int32_t colour = palette_colour((enum role)cell->fore, screen.colours, &more);
    *ret_pair = screen.colours > 0 && colour != COLOUR_DEFAULT ? cell->fore + 1 : 0;
    uint8_t style = cell->style | more;
    attr_t attributes = 0;
    attributes |= (style & STYLE_BOLD) != 0 ? WA_BOLD : 0;
    attributes |= (style & STYLE_REVERSE) != 0 ? WA_REVERSE : 0;
    attributes |= (style & STYLE_UNDERLINE) != 0 ? WA_UNDERLINE : 0;
    attributes |= (style & PALETTE_DIM) != 0 ? WA_DIM : 0;
    return attributes;
}

static bool cell_same(const struct cell *a, const struct cell *b)
{
    return a->code == b->code && a->fore == b->fore && a->back == b->back && a->style == b->style;
}

static void row_show(const struct grid *grid, const struct cell *before, int y)
{
    for (int x = 0; x < grid->width && x < COLS; x++) {
        const struct cell *cell = &grid->cells[y * grid->width + x];
        if (cell->code == 0 || (before != NULL && cell_same(cell, &before[x])))
            continue;
        wchar_t text[2] = {(wchar_t)cell->code, L'\0'};
        cchar_t out;
        int pair;
        attr_t attributes = attributes_of(cell, &pair);
        setcchar(&out, text, attributes, 0, &pair);
        mvadd_wch(y, x, &out);
    }
}

/* A row in which a wide character comes or goes is drawn whole: what ncurses does with its other
 * half is its own business. */
static bool row_wide(const struct cell *cells, int width)
{
    for (int x = 0; x < width; x++)
        if (cells[x].code == 0)
            return true;
    return false;
}

/* ncurses is told of cells that changed only: telling it of all takes longer than drawing them. */
void term_show(const struct grid *grid)
{
    struct grid *shown = screen.shown;
    bool known = shown != NULL && shown->width == grid->width && shown->height == grid->height;
    for (int y = 0; y < grid->height && y < LINES; y++) {
        const struct cell *now = &grid->cells[y * grid->width];
        struct cell *before = known ? &shown->cells[y * grid->width] : NULL;
        size_t bytes = (size_t)grid->width * sizeof(*now);
        if (known && memcmp(now, before, bytes) == 0)
            continue;
        bool whole = !known || row_wide(now, grid->width) || row_wide(before, grid->width);
        row_show(grid, whole ? NULL : before, y);
        if (known)
            memcpy(before, now, bytes);
    }
    refresh();
    if (known)
        return;
    grid_free(shown);
    screen.shown = grid_new(grid->width, grid->height, grid->ascii);
    memcpy(screen.shown->cells, grid->cells,
           (size_t)grid->width * (size_t)grid->height * sizeof(*grid->cells));
}

void term_redraw(void)
{
    clearok(stdscr, TRUE);
    shown_forget();
}

/* ---- keys ----------------------------------------------------------------------------------- */

static int mouse_key(int *ret_x, int *ret_y)
{
    MEVENT event;
    if (getmouse(&event) != OK)
        return KEYS_NONE;
    *ret_x = event.x;
    *ret_y = event.y;
    if ((event.bstate & BUTTON4_PRESSED) != 0)
        return KEYS_WHEEL_UP;
    if ((event.bstate & BUTTON5_PRESSED) != 0)
        return KEYS_WHEEL_DOWN;
    return (event.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED)) != 0 ? KEYS_CLICK : KEYS_NONE;
}

int term_key(int *ret_x, int *ret_y)
{
    static const struct {
        int theirs;
        int ours;
    } keys[] = {
        {KEY_UP, KEYS_UP},       {KEY_DOWN, KEYS_DOWN},     {KEY_LEFT, KEYS_LEFT},
        {KEY_RIGHT, KEYS_RIGHT}, {KEY_PPAGE, KEYS_PAGE_UP}, {KEY_NPAGE, KEYS_PAGE_DOWN},
        {KEY_HOME, KEYS_HOME},   {KEY_END, KEYS_END},       {KEY_BACKSPACE, KEYS_BACKSPACE},
        {KEY_ENTER, '\r'},       {KEY_RESIZE, KEYS_RESIZE}, {8, KEYS_BACKSPACE},
        {127, KEYS_BACKSPACE},
    };
    wint_t wide;
    int kind = get_wch(&wide);
    if (kind == ERR)
        return KEYS_NONE;
    if (kind == KEY_CODE_YES && wide == KEY_MOUSE)
        return mouse_key(ret_x, ret_y);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if ((wint_t)keys[i].theirs == wide && (kind == KEY_CODE_YES || keys[i].theirs < 128))
            return keys[i].ours;
    return kind == KEY_CODE_YES ? KEYS_NONE : (int)wide;
}
