/* A thread that registers, moves from group to group, and unregisters, while freezes are armed.

   Freeze F covers group 0, and G covers group 1. Each may be given up at any moment.

   What is shown: while a freeze stands no registered thread of its group runs. Whoever stands is let go,
   and whoever waits is told. A freeze keeps no thread which it does not cover. */

/* run "stillness for those who come and go" */
/* long "more moves" -DMOVES=3 */

#include "word.pml"
#ifndef MOVES
#define MOVES 2
#endif

int word;
bool registered, exited;                /* Registry.records; Record.exited */
byte group;                             /* Record.group: F covers 0, and G covers 1 */
bool away;                              /* Record.away */
byte listing, awaited, members;         /* Registry.active; Freeze.awaited, Freeze.members */
byte entered;                           /* Parking.entered */
bool rung;                              /* Parking.bell */

bool running;                           /* the thread executes the application's code, as registered */
byte stands, over;

/* Only those that cover its group stop the thread, and hold its stay. It moves while it has none. */
#define MINE(s)          ((s) & bit(group))
#define SETTLED_HERE(s, d) (LEFT(s, d) | ((s) & (MINE(LEFT(s, d)) -> STAY : 0)))

inline tell(status) {                   /* code: _refrigerator.tell: "in status.freezes" ; ".arrive(" */
    do
    :: status & bit(0) -> atomic { awaited = awaited & ~bit(0); status = status & ~bit(0) }
    :: (status & ALL) == bit(1) -> atomic { awaited = awaited & ~bit(1); status = 0 }
    :: !(status & ALL) -> status = 0; break
    od
}

inline stand() {                        /* code: _refrigerator._stand: "change(settled" ; ".pending(" ; "change(parked" ; "_note_stop(" */
    seen = done & word;
    d_step {
        new = SETTLED_HERE(word, seen) | (MINE(LEFT(word, seen)) -> STAY : 0);
        word = new; seen = 0
    }
    if :: !(new & STAY) -> new = 0 :: else fi;
    tell(new);
    do
    :: !(word & STAY) -> break
    :: word & STAY ->
       if
       :: atomic { MINE(LEFT(word, done)) & bit(0) -> entered = bit(0) }
       :: atomic { MINE(LEFT(word, done)) & bit(1) -> entered = bit(1) }
       :: !MINE(LEFT(word, done))
       fi;
       if
       :: (word & STAY) && (entered & ~done) -> atomic { rung -> rung = false }
       :: else
       fi;
       entered = 0;
       seen = done & word;
       d_step { word = SETTLED_HERE(word, seen); seen = 0 }
    od;
    atomic { rung = false; running = true; assert(!(stands & bit(group))) }
}

inline submit(f) {                      /* code: _registry.Registry.submit_to_active: "_is_meant(" ; "change(listed_anew" ; ".members[record]" */
    if
    :: (known & bit(f)) && group == f ->
       seen = done & (word | bit(f));
       d_step {
           if :: !(seen & bit(f)) -> word = SETTLED_HERE(word, seen) | bit(f) :: else fi;
           seen = 0
       }
       members = members | bit(f);
       seen = done & word;
       d_step { word = SETTLED_HERE(word, seen); seen = 0 }
    :: else
    fi
}

inline leave_those_elsewhere(f) {       /* by the thread itself, which has no stay */
    if
    :: group != f ->
       members = members & ~bit(f);
       seen = done & word;
       d_step { word = SETTLED_HERE(word & ~bit(f), seen); seen = 0 }
       awaited = awaited & ~bit(f)
    :: else
    fi
}

proctype Thread() {
    int new; byte seen, known, moves; bool leaves;
    if :: leaves = true :: leaves = false fi;   /* before all is over */
    away = true;                        /* code: _membership._enter: "away = place" ; ".enter(" ; "away = None" ; "come_back(" */
#ifdef MUTANT_looks_before_it_is_known
    known = listing;
    registered = true;
#else
    registered = true;                  /* code: _registry.Registry.enter: ".records[" ; "submit_to_active(" */
    known = listing;
#endif
    submit(0); submit(1);
    away = false;
    stand();
    do
    :: moves < MOVES ->
       running = false;
       moves++;
       group = 1 - group;               /* code: _membership._change_group: "record.group = group" ; "submit_to_active(" ; ".covers(group)" ; "withdraw(" ; "come_back(" */
#ifndef MUTANT_moves_without_a_word
       known = listing;
       submit(0); submit(1);
#endif
       known = word & ALL;
       if
       :: known & bit(0) -> leave_those_elsewhere(0)
       :: else
       fi;
       if
       :: known & bit(1) -> leave_those_elsewhere(1)
       :: else
       fi;
       known = 0;
       stand()
    :: MINE(LEFT(word, done)) -> running = false; stand()
    :: over == 3 -> break
    :: leaves -> break
    od;
    running = false;
    exited = true;                      /* code: _registry.Registry.retire: "exited = True" ; "_take_off(" ; ".arrive(" */
    word = 0;
    new = listing;
    tell(new);
    atomic { moves = 0; known = 0 }
}

proctype Controller(byte f) {
    byte seen, stood; bool is_there;
    listing = listing | bit(f);         /* code: _controller.Controller._arm: ".active[freeze]" ; ".records" ; ".covers(" ; "change(listed" ; "has_stopped(" ; ".covers(record.group)" ; "withdraw(" */
    if
    :: registered && group == f && !exited -> atomic { awaited = awaited | bit(f); members = members | bit(f); is_there = true }
    :: else
    fi;
    if
    :: is_there ->
       is_there = false;
#ifdef MUTANT_controller_takes_off
again:
#endif
       seen = done & (word | bit(f));
       d_step {
           if :: !(seen & bit(f)) -> word = SETTLED_HERE(word, seen) | bit(f) :: else -> word = SETTLED_HERE(word, seen) fi;
           seen = 0
       }
       stood = exited || away || (word & STAY);
       if
       :: stood -> awaited = awaited & ~bit(f)
       :: else
       fi;
       stood = 0;
       if                               /* code: _registry.Registry.withdraw: ".arrive(" */
#ifndef MUTANT_move_not_looked_at
       :: group != f ->
#ifdef MUTANT_controller_takes_off      /* takes off what is not done: what the thread has yet to tell is not true then */
          seen = done & word;
          d_step { word = SETTLED_HERE(word & ~bit(f), seen); seen = 0 }
          rung = true;
          if
          :: atomic { group == f -> members = members | bit(f); awaited = awaited | bit(f); goto again }
          :: else
          fi;
#endif
          awaited = awaited & ~bit(f)
#endif
       :: else
       fi
    :: else
    fi;
    if
    :: true ->
       atomic { !(awaited & bit(f)) -> stands = stands | bit(f); assert(!(running && group == f && !exited)) }
    :: true
    fi;
    atomic { done = done | bit(f); stands = stands & ~bit(f) };
    if
    :: (members & bit(f)) && (word & STAY) ->
       seen = done & word;
       d_step { word = SETTLED_HERE(word, seen); seen = 0 }
    :: else
    fi;
    atomic { rung = rung || (entered & bit(f)) };
    over = over | bit(f)
}

init {
    atomic { run Thread(); run Controller(0); run Controller(1) }
    _nr_pr == 1;
    assert(!LEFT(word, done) && !(word & STAY))
}
