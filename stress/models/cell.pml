/* The word of a thread is a chain of statuses. Whoever wants another one hangs it on the last.

   Some writers add one each, a few times. The head is a hint: a writer that was preempted may put an
   older status there.

   What is shown: nothing that was added is lost, and whoever follows the chain from the hint finds its
   end. */

/* run "no change is lost" */
/* long "four writers" -DWRITERS=4 */

#ifndef WRITERS
#define WRITERS 3
#endif
#define TIMES 2
#define SIZE (WRITERS * TIMES + 1)

byte next[SIZE];                        /* the number of the one that came after it, or 0 */
byte value[SIZE];                       /* what the status says */
byte used = 1;                          /* statuses made so far; the first has the number 0 */
byte head;                              /* Word._last */

proctype Writer() {
    byte old, said, times, mine;
    do
    :: times < TIMES ->
       old = head;                      /* code: _registry/status.Word._end: "self._last" ; "link[1]" */
       said = value[old];
       do
       :: atomic { next[old] -> old = next[old];
#ifndef MUTANT_hint_is_believed         /* hangs it on the last, and makes it out of what the hint says */
                   said = value[old]
#endif
                 }
       :: !next[old] -> break
       od;
       /* code: _registry/status.ask_all: "setdefault(0, link) is link" ; "word._last = link" */
      if                               /* code: _registry/status.Word.change: "setdefault(0, link) is link" ; "self._last = link" */
#ifdef MUTANT_set_not_setdefault        /* whoever comes later puts his own in the place of the other's */
       :: true ->
#else
       :: atomic { !next[old] ->
#endif
          mine = used; used++;
          value[mine] = said + 1;
          next[old] = mine
#ifndef MUTANT_set_not_setdefault
          }
#endif
          ;
          times++;
          head = mine
       :: next[old]                     /* somebody was quicker: try again */
       fi
    :: times == TIMES -> break
    od
}

init {
    byte last, n;
    atomic { for (n : 1 .. WRITERS) { run Writer() } }
    _nr_pr == 1;
    last = head;
    do
    :: next[last] -> last = next[last]
    :: !next[last] -> break
    od;
    assert(value[last] == WRITERS * TIMES)
}
