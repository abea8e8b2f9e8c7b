// SPDX-License-Identifier: GPL-2.0-only
/* The list, one device and the help on a terminal, and the keys between them. */
#include <ctype.h>
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "column.h"
#include "detail.h"
#include "number.h"
#include "screen.h"

#define ROW_FIRST	3	/* of what is shown */
#define KEY_ESC		27
#define KEY_CTRL_L	12
#define KEY_DEL		127
#define FIRST_LOOK	0.3	/* s until the first rates */
#define SECONDS_MIN	0.1
#define SECONDS_MAX	3600

enum page { PAGE_LIST, PAGE_DETAIL, PAGE_HELP };

/**
 * struct screen - what is shown
 * @watch: the devices
 * @views: those that are shown, in order
 * @nr: how many
 * @chosen: the device that the keys are for; as it was when it was chosen
 * @row: its place in @views
 * @page: what is shown
 * @offset: lines of it that are above the screen
 * @seconds: between two looks
 * @column: to sort by
 * @is_reverse: against its usual order
 * @filter: a text that devices have to have
 * @is_editing: whether keys go to @filter
 * @is_paused: whether nothing is looked at
 */
struct screen {
	struct watch *watch;
	const struct view **views;
	size_t nr;
	struct device chosen;
	size_t row;
	enum page page;
	size_t offset;
	double seconds;
	unsigned int column;
	bool is_reverse;
	char filter[64];
	bool is_editing;
	bool is_paused;
};

static const char help[] =
	"up, down       choose a device, or scroll\n"
	"Enter          one device with histograms\n"
	"Esc            back\n"
	"s, S           sort by the next column, by the one before\n"
	"r              sort the other way round\n"
	"/              filter: a part of name, pid, tap, verdict; Esc: all\n"
	"+, -           look less often, more often\n"
	"space          pause\n"
	"q              quit\n"
	"\n"
	"broken           a ring failed; the reason says why\n"
	"starved          the worker waited for a CPU over 20% of the time\n"
	"worker-limited   the worker used over 90% of a CPU, polling aside\n"
	"backend-limited  tap or socket were full over 20% of the time\n"
	"guest-limited    frames waited for buffers over 20% of the time\n"
	"ok               frames move, and none of the above\n"
	"unknown          vhost_net does not count, or it was seen once so far\n"
	"idle             fewer than 10 frames a second\n"
	"\n"
	"The first that holds for a ring is its verdict, and the first of both\n"
	"rings the device's. vhx-top(8) has the rest.\n";

static const short colours[VERDICTS] = {
	[VERDICT_BROKEN] = COLOR_RED,
	[VERDICT_STARVED] = COLOR_MAGENTA,
	[VERDICT_WORKER] = COLOR_YELLOW,
	[VERDICT_BACKEND] = COLOR_YELLOW,
	[VERDICT_GUEST] = COLOR_CYAN,
	[VERDICT_OK] = COLOR_GREEN,
	[VERDICT_UNKNOWN] = -1,
	[VERDICT_IDLE] = -1,
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void choose(struct screen *screen, size_t row)
{
	screen->row = row;
	if (screen->nr)
		screen->chosen = *screen->views[row]->device;
}

/* Those that are shown, in order; the one that was chosen stays it. */
static int arrange(struct screen *screen)
{
	size_t i, row;

	free(screen->views);
	screen->views = calloc(screen->watch->nr + 1, sizeof(*screen->views));
	screen->nr = 0;
	if (!screen->views)
		return -ENOMEM;
	for (i = 0; i < screen->watch->nr; i++)
		if (column_match(&screen->watch->views[i], screen->filter))
			screen->views[screen->nr++] = &screen->watch->views[i];
	column_sort(screen->views, screen->nr, screen->column, screen->is_reverse);
	for (row = 0; row < screen->nr; row++)
		if (device_is(screen->views[row]->device, &screen->chosen))
			break;
	if (row < screen->nr)
		screen->row = row;
	else if (screen->page != PAGE_DETAIL)
		choose(screen, screen->nr && screen->row >= screen->nr ?
		       screen->nr - 1 : screen->row);
	return 0;
}

static int rows(void)
{
	int nr = getmaxy(stdscr) - ROW_FIRST - 1;

	return nr > 0 ? nr : 0;
}

/* The words at the right, if there is room for them. */
static void draw_state(const struct screen *screen)
{
	char text[80];

	snprintf(text, sizeof(text), "%severy %.1f s", screen->is_paused ?
		 "paused, " : "", screen->seconds);
	if (COLS > 40)
		mvaddstr(0, COLS - (int)strlen(text), text);
}

/* A line as wide as the screen: what is longer would go on in the next one. */
static void draw_line(int row, const char *text)
{
	char line[LINE_MAX_LEN] = "";

	number_fit(line, sizeof(line), text, -COLS);
	mvaddstr(row, 0, line);
}

static void draw_counts(const struct screen *screen)
{
	size_t count[VERDICTS] = { 0 }, i;
	char line[LINE_MAX_LEN];
	enum verdict verdict;
	int len;

	for (i = 0; i < screen->watch->nr; i++)
		count[screen->watch->views[i].all.verdict]++;
	len = snprintf(line, sizeof(line), "vhx-top: %zu devices",
		       screen->watch->nr);
	for (verdict = 0; verdict < VERDICT_OK; verdict++)
		if (count[verdict])
			len += snprintf(line + len, sizeof(line) - (size_t)len,
					", %zu %s", count[verdict],
					verdict_name(verdict));
	draw_line(0, line);
	draw_state(screen);
	snprintf(line, sizeof(line), "sorted by %s%s%s%s%s%s%s",
		 columns[screen->column].name,
		 screen->is_reverse ? ", reversed" : "",
		 *screen->filter || screen->is_editing ? "; filter: " : "",
		 screen->filter, screen->is_editing ? "_" : "",
		 screen->watch->has_times ? "" : "; no schedstat: waits unknown",
		 screen->watch->now.is_cut ?
		 "; a process has too many descriptors: some are left out" : "");
	draw_line(1, line);
}

static void draw_keys(const char *text)
{
	attron(A_DIM);
	mvaddnstr(LINES - 1, 0, text, COLS - 1);
	attroff(A_DIM);
}

static void draw_device(const struct view *view, int row, bool is_chosen)
{
	attr_t attr = is_chosen ? A_REVERSE : A_NORMAL;
	char line[LINE_MAX_LEN];

	if (has_colors() && colours[view->all.verdict] >= 0)
		attr |= COLOR_PAIR(view->all.verdict + 1);
	column_line(line, view, COLS);
	attron(attr);
	draw_line(row, line);
	attroff(attr);
}

static void draw_list(struct screen *screen)
{
	char line[LINE_MAX_LEN];
	size_t i, room = (size_t)rows();

	if (screen->row < screen->offset)
		screen->offset = screen->row;
	if (room && screen->row >= screen->offset + room)
		screen->offset = screen->row - room + 1;
	column_head(line, COLS);
	attron(A_BOLD);
	draw_line(2, line);
	attroff(A_BOLD);
	for (i = 0; i < room && screen->offset + i < screen->nr; i++)
		draw_device(screen->views[screen->offset + i],
			    ROW_FIRST + (int)i,
			    screen->offset + i == screen->row);
	if (!screen->watch->nr)
		draw_line(ROW_FIRST, "Nobody uses vhost-net.");
	draw_keys(screen->is_editing ? "Enter: keep the filter   Esc: all devices" :
		  "q quit  Enter one device  s sort  r reverse  / filter  space pause  h help");
}

/* Lines of a text, scrolled; from the top of the screen on. */
static void draw_text(struct screen *screen, const char *text)
{
	size_t len, nr = 0, room = (size_t)getmaxy(stdscr) - 1;
	char line[LINE_MAX_LEN];
	const char *at;

	for (at = text; *at; at++)
		nr += *at == '\n';
	if (screen->offset + room > nr)
		screen->offset = nr > room ? nr - room : 0;
	for (at = text, nr = 0; *at; at += len + 1, nr++) {
		len = strcspn(at, "\n");
		if (nr >= screen->offset && nr < screen->offset + room) {
			snprintf(line, sizeof(line), "%.*s", (int)len, at);
			draw_line((int)(nr - screen->offset), line);
		}
		if (!at[len])
			break;
	}
	draw_keys("Esc back   up, down scroll   q quit");
}

static void draw_detail(struct screen *screen)
{
	const struct view *view = screen->row < screen->nr ?
		screen->views[screen->row] : NULL;
	char *text = NULL;
	size_t size;
	FILE *out;

	if (!view || !device_is(view->device, &screen->chosen)) {
		draw_text(screen, "It has ended.\n");
		return;
	}
	out = open_memstream(&text, &size);
	if (!out)
		return;
	detail_put(out, view);
	if (!fclose(out))
		draw_text(screen, text);
	free(text);
}

/* Of two changes in quick succession ncurses may tell one. */
static void fit_window(void)
{
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row &&
	    size.ws_col && is_term_resized(size.ws_row, size.ws_col))
		resizeterm(size.ws_row, size.ws_col);
}

static void draw(struct screen *screen)
{
	fit_window();
	erase();
	/*
	 * A terminal that was made small and large again since the last look has lost
	 * what stood there, and nobody is told of that: its size is the same.
	 */
	redrawwin(stdscr);
	if (screen->page == PAGE_DETAIL) {
		draw_detail(screen);
	} else if (screen->page == PAGE_HELP) {
		draw_text(screen, help);
	} else {
		draw_counts(screen);
		draw_list(screen);
	}
	refresh();
}

static void move_by(struct screen *screen, int lines)
{
	size_t *place = screen->page == PAGE_LIST ? &screen->row : &screen->offset;
	size_t step = (size_t)abs(lines);

	if (lines < 0)
		*place -= step > *place ? *place : step;
	else
		*place += step;
	if (screen->page != PAGE_LIST)
		return;
	if (screen->row >= screen->nr)
		screen->row = screen->nr ? screen->nr - 1 : 0;
	choose(screen, screen->row);
}

static void turn_to(struct screen *screen, enum page page)
{
	if (page == PAGE_DETAIL && !screen->nr)
		return;
	screen->page = page;
	screen->offset = 0;
}

static void edit(struct screen *screen, int key)
{
	size_t len = strlen(screen->filter);

	if (key == KEY_ESC || key == '\n' || key == '\r' || key == KEY_ENTER) {
		screen->is_editing = false;
		if (key == KEY_ESC)
			*screen->filter = 0;
	} else if (key == KEY_BACKSPACE || key == KEY_DEL || key == '\b') {
		if (len)
			screen->filter[len - 1] = 0;
	} else if (key < 256 && isprint(key) && len + 1 < sizeof(screen->filter)) {
		screen->filter[len] = (char)key;
		screen->filter[len + 1] = 0;
	}
}

static void obey_list(struct screen *screen, int key)
{
	switch (key) {
	case '\n':
	case '\r':
	case KEY_ENTER:
		turn_to(screen, PAGE_DETAIL);
		break;
	case 's':
		screen->column = (screen->column + 1) % nr_columns;
		break;
	case 'S':
		screen->column = (screen->column + nr_columns - 1) % nr_columns;
		break;
	case 'r':
		screen->is_reverse = !screen->is_reverse;
		break;
	case '/':
		screen->is_editing = true;
		break;
	case KEY_ESC:
		*screen->filter = 0;
		break;
	}
}

static void set_pace(struct screen *screen, double factor)
{
	double seconds = screen->seconds * factor;

	if (seconds >= SECONDS_MIN && seconds <= SECONDS_MAX)
		screen->seconds = seconds;
}

/* Return: whether to go on */
static bool obey(struct screen *screen, int key)
{
	switch (key) {
	case 'q':
		return false;
	case 'h':
	case '?':
		turn_to(screen, PAGE_HELP);
		break;
	case ' ':
		screen->is_paused = !screen->is_paused;
		break;
	case '+':
		set_pace(screen, 2);
		break;
	case '-':
		set_pace(screen, 0.5);
		break;
	case KEY_UP:
	case 'k':
		move_by(screen, -1);
		break;
	case KEY_DOWN:
	case 'j':
		move_by(screen, 1);
		break;
	case KEY_PPAGE:
		move_by(screen, -rows());
		break;
	case KEY_NPAGE:
		move_by(screen, rows());
		break;
	case KEY_CTRL_L:
		clear();
		break;
	default:
		if (screen->page == PAGE_LIST)
			obey_list(screen, key);
		else if (key == KEY_ESC || key == KEY_BACKSPACE)
			turn_to(screen, PAGE_LIST);
	}
	return true;
}

static int look(struct screen *screen)
{
	int err = watch_look(screen->watch);

	return err ? err : arrange(screen);
}

/* A terminal that has gone has no keys, and does not wait for them either. */
static bool is_gone(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	int nr;

	if (poll(&in, 1, 0) <= 0)
		return false;
	if (in.revents & (POLLHUP | POLLERR | POLLNVAL))
		return true;
	return !ioctl(STDIN_FILENO, FIONREAD, &nr) && !nr;
}

/* Keys until it is time for the next look. Return: 1: quit; 0 or -errno */
static int serve(struct screen *screen, double until)
{
	double left;
	int key, err;

	do {
		draw(screen);
		left = until - now();
		timeout(screen->is_paused ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0);
		key = getch();
		if (key == ERR && is_gone())
			return 1;
		if (key == ERR)
			continue;
		if (screen->is_editing)
			edit(screen, key);
		else if (!obey(screen, key))
			return 1;
		err = arrange(screen);
		if (err)
			return err;
	} while (screen->is_paused || now() < until);
	return 0;
}

static void prepare(void)
{
	enum verdict verdict;

	cbreak();
	noecho();
	keypad(stdscr, true);
	set_escdelay(25);
	curs_set(0);
	if (getenv("NO_COLOR") || !has_colors())
		return;
	start_color();
	use_default_colors();
	for (verdict = 0; verdict < VERDICTS; verdict++)
		init_pair((short)(verdict + 1), colours[verdict], -1);
}

/**
 * screen_run - show the devices until the user quits
 * @watch: zeroed; to be ended
 * @options: how it begins
 *
 * Return: 0 or -errno; -ENOTTY: this terminal is none that can be drawn on
 */
int screen_run(struct watch *watch, const struct screen_options *options)
{
	struct screen screen = {
		.watch = watch, .seconds = options->seconds,
		.column = options->column, .is_reverse = options->is_reverse,
	};
	SCREEN *terminal = newterm(NULL, stdout, stdin);
	int err;

	if (!terminal)
		return -ENOTTY;
	snprintf(screen.filter, sizeof(screen.filter), "%s", options->filter);
	prepare();
	do {
		err = look(&screen);
		if (!err)
			err = serve(&screen, now() + (watch->seconds > 0 ? screen.seconds :
						      FIRST_LOOK));
	} while (!err);
	endwin();
	delscreen(terminal);
	free(screen.views);
	return err < 0 ? err : 0;
}
