/* A thread that registers, moves from group to group, and unregisters, while freezes are armed.

   Freeze F covers group 0, and G covers group 1. Each may be given up at any moment.

   What is shown: while a freeze stands no registered thread of its group runs. Whoever stands is let go,
   and whoever waits is told. A freeze keeps no thread which it does not cover: G need not wait for F. */

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
byte anew;                              /* a new value of the word, even if it says the same */
byte entered;                           /* Parking.entered */
bool rung;                              /* Parking.bell */

bool running;                           /* the thread executes the application's code, as registered */
byte stands, over;

inline tell(status) {                   /* code: _refrigerator/refrigerator.tell: "in status.freezes" ; ".arrive(" */
    do
    :: status & bit(0) -> atomic { awaited = awaited & ~bit(0); status = status & ~bit(0) }
    :: (status & ALL) == bit(1) -> atomic { awaited = awaited & ~bit(1); status = 0 }
    :: !(status & ALL) -> status = 0; break
    od
}

inline stand() {                        /* code: _refrigerator/refrigerator._stand: "change(settled" ; ".pending(" ; "change(parked" ; "_note_stop(" */
    seen = done & word;
    d_step {
        new = SETTLED(word, seen) | (LEFT(word, seen) -> STAY : 0);
        word = new; seen = 0
    }
    if :: !(new & STAY) -> new = 0 :: else fi;
    tell(new);
    do
    :: !(word & STAY) -> break
    :: word & STAY ->
       if
       :: atomic { LEFT(word, done) & bit(0) -> entered = bit(0) }
       :: atomic { LEFT(word, done) & bit(1) -> entered = bit(1) }
       :: !LEFT(word, done)
       fi;
       if
       :: (word & STAY) && (entered & ~done) -> atomic { rung -> rung = false }
       :: else
       fi;
       entered = 0;
       seen = done & word;
       d_step { word = SETTLED(word, seen); seen = 0 }
    od;
    atomic { rung = false; running = true; assert(!(stands & bit(group))) }
}

/* code: _registry/registry.Registry.submit_to_active: "_is_meant(" ; "change(listed_anew" ; ".members[record]" */
inline submit(f) {                      /* code: _registry/status.listed_anew: "listed(" ; "new is old" ; "Status(" */
    if
    :: (known & bit(f)) && group == f ->
       seen = done & (word | bit(f));
       d_step {
           if :: !(seen & bit(f)) -> word = SETTLED(word, seen) | bit(f) :: else -> word = SETTLED(word, seen) fi;
#ifndef MUTANT_not_anew                 /* who is listed already leaves the word as it is */
           anew = anew + 1;
#endif
           seen = 0
       };
       members = members | bit(f)
    :: else
    fi
}

/* code: _registry/registry.Registry.withdraw: "_take_off(" ; ".members.pop(" ; ".arrive(" */
inline withdraw(f) {                    /* code: _registry/registry.Registry._take_off: "_is_meant(" ; "change(unlisted" ; "bell.ring()" */
    do
    :: before = anew;
       if                               /* what the thread is in, looked at after the word */
       :: group == f && !exited -> break
       :: else
       fi;
       seen = done & word;
       if
       :: d_step { anew == before -> word = SETTLED(word & ~bit(f), seen); seen = 0 };
          members = members & ~bit(f);
          awaited = awaited & ~bit(f);
          break
       :: atomic { anew != before -> seen = 0 }     /* the thread has moved again: begin again */
       fi
    od;
#ifndef MUTANT_withdrawn_in_silence     /* it may have stopped meanwhile */
    rung = true;
#endif
    before = 0
}

proctype Thread() {
    int new; byte seen, known, moves, before; bool leaves;
    if :: leaves = true :: leaves = false fi;   /* before all is over */
    away = true;                        /* code: _refrigerator/membership._enter: "away = place" ; ".enter(" ; "away = None" ; "come_back(" */
#ifdef MUTANT_looks_before_it_is_known
    known = listing;
    registered = true;
#else
    registered = true;                  /* code: _registry/registry.Registry.enter: ".records[" ; "submit_to_active(" */
    known = listing;
#endif
    submit(0); submit(1);
    away = false;
    stand();
    do
    :: moves < MOVES ->
       running = false;
       moves++;
       group = 1 - group;               /* code: _refrigerator/membership._change_group: "record.group = group" ; "submit_to_active(" ; ".covers(group)" ; "withdraw(" ; "come_back(" */
#ifndef MUTANT_moves_without_a_word
       known = listing;
       submit(0); submit(1);
#endif
       known = word & ALL;
       if
       :: (known & bit(0)) && group != 0 -> withdraw(0)
       :: else
       fi;
       if
       :: (known & bit(1)) && group != 1 -> withdraw(1)
       :: else
       fi;
       known = 0;
       stand()
    :: LEFT(word, done) -> running = false; stand()
    :: over == 3 -> break
    :: leaves -> break
    od;
    running = false;
    exited = true;                      /* code: _registry/registry.Registry.retire: "exited = True" ; "_take_off(" ; ".arrive(" */
    word = 0;
    new = listing;
    tell(new);
    atomic { moves = 0; known = 0 }
}

proctype Controller(byte f) {
    byte seen, stood, before; bool is_there;
    listing = listing | bit(f);         /* code: _controller/controller.Controller._arm: ".active[freeze]" ; ".records" ; ".covers(" ; "word.ask(" ; "has_stopped(" ; "record.exited" ; "withdraw(" */
    if
    :: registered && group == f && !exited -> atomic { awaited = awaited | bit(f); members = members | bit(f); is_there = true }
    :: else
    fi;
    if
    :: is_there ->
       is_there = false;
       seen = done & (word | bit(f));
       d_step {
           if :: !(seen & bit(f)) -> word = SETTLED(word, seen) | bit(f) :: else -> word = SETTLED(word, seen) fi;
           seen = 0
       }
       stood = exited || away || (word & STAY);
       if
       :: stood -> awaited = awaited & ~bit(f)
       :: else
       fi;
       stood = 0;
#ifndef MUTANT_move_not_looked_at
       if
       :: group != f || exited -> withdraw(f)
       :: else
       fi
#endif
    :: else
    fi;
    if
    :: true ->
       atomic { !(awaited & bit(f)) -> stands = stands | bit(f);
                assert(exited || (group == f -> !running : !(word & bit(f)))) }
       if
       :: true
       :: f == 0 -> over & bit(1)       /* F is a long one: G does not wait for it */
       fi
    :: true
    fi;
    atomic { done = done | bit(f); stands = stands & ~bit(f) };
    if
    :: (members & bit(f)) && (word & STAY) ->
       seen = done & word;
       d_step { word = SETTLED(word, seen); seen = 0 }
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
