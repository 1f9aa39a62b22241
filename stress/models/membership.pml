/* A thread that registers, moves from group to group, and unregisters, while freezes are armed.

   Freeze F covers group 0, and G covers group 1. Each may be given up at any moment.

   What is shown: while a freeze stands no registered thread of its group runs. Whoever stands is let go,
   and whoever waits is told. A freeze keeps no thread which it does not cover: G need not wait for F.

   With MOVER another thread moves it so many times. A freeze that is on then does not wait for
   it, and it may run until its next visit. It stops there; and it is said to have stopped only when it
   has. */

/* run "stillness for those who come and go" */
/* run "moved in, and out again, by another" -DMOVER=2 -DMOVES=0 -DONE -DFROM=1 */
/* run "moved out, and back, by another" -DMOVER=2 -DMOVES=0 -DONE */
/* mutant moved_and_not_asked -DMOVER=1 -DMOVES=0 -DONE -DFROM=1 */
/* mutant moved_and_not_a_newcomer -DMOVER=1 -DMOVES=0 -DONE -DFROM=1 */
/* mutant moved_when_it_has_left -DMOVER=1 -DMOVES=0 -DONE -DFROM=1 */
/* mutant moved_back_unlisted -DMOVER=2 -DMOVES=0 -DONE */
/* mutant moved_by_two_at_once -DMOVER=1 -DMOVES=1 -DONE -DFROM=1 */
/* long "more moves" -DMOVES=3 */
/* long "moved by itself, and by another" -DMOVER=1 -DMOVES=1 -DONE */
/* long "moved from one freeze to another" -DMOVER=1 -DMOVES=0 */

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

bool enrolled;                          /* its registration is there for others to use */
byte newcomers;                            /* Freeze.newcomers */
bool moving;                            /* Registry._moves: somebody has it */
bool moves_itself;
byte moved;                             /* how often another one has begun to move it, or has done so */
byte arming;                            /* controllers that may have asked what they will withdraw */
#define IS_BEING_MOVED  (moved & 1)

bool running;                           /* the thread executes the application's code, as registered */
byte stands, over;

inline tell(status) {                   /* code: _refrigerator/refrigerator.tell: "in status.freezes" ; ".arrive(" */
    do
    :: status & bit(0) -> atomic { awaited = awaited & ~bit(0); status = status & ~bit(0) }
    :: (status & ALL) == bit(1) -> atomic { awaited = awaited & ~bit(1); status = 0 }
    :: !(status & ALL) -> status = 0; break
    od
}

inline stand() {                        /* code: _refrigerator/refrigerator._stand: "change(settled" ; ".due(" ; "change(parked" ; "_note_stop(" */
    before = moved;
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
    atomic {
        rung = false; running = true;
        assert(!(stands & bit(group)) || IS_BEING_MOVED || moved != before);
        assert(!(stands & word & ~newcomers));     /* code: _registry/record.Record.stopped: "not in freeze.newcomers" */
        before = 0
    }
}

/* code: _registry/registry.Registry.submit_to_active: "_is_meant(" ; ".newcomers[record]" ; "change(listed_anew" ; ".members[record]" */
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

#ifdef MUTANT_moved_by_two_at_once
#define LOCK
#define UNLOCK
#else
#define LOCK      atomic { !moving -> moving = true }
#define UNLOCK    moving = false
#endif

/* code: _registry/registry.Registry.withdraw: "_take_off(" ; "_list(" ; ".arrive(" */
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
#ifdef MUTANT_moved_back_unlisted
          members = members & ~bit(f);
#else
          do                            /* code: _registry/registry.Registry._list: ".members[record]" ; ".members.pop(" ; "word.value.freezes" */
          :: word & bit(f) -> members = members | bit(f); if :: word & bit(f) -> break :: else fi
          :: !(word & bit(f)) -> members = members & ~bit(f); if :: !(word & bit(f)) -> break :: else fi
          od;
#endif
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
    enrolled = true;
    do
    :: moves < MOVES ->
       running = false;
       moves++;
       moves_itself = true;
       LOCK;                            /* code: _registry/registry.Registry.move: "call_with, self._moves" ; "_move(" */
       group = 1 - group;               /* code: _registry/registry.Registry._change_group: "record.group = group" ; "submit_to_active(" ; "record.exited or not freeze.covers(" ; "withdraw(" */
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
       UNLOCK;
       atomic { known = 0; moves_itself = false };
       stand()
    :: LEFT(word, done) -> running = false; stand()
#ifdef MOVER
    :: known == 0 -> known = 1; running = false; stand()    /* whether it is asked or not */
#endif
    :: over == 3 -> break
    :: leaves -> break
    od;
    running = false;
    exited = true;                      /* code: _registry/registry.Registry.note_exit: "exited = True" ; "_take_off(" ; ".arrive(" */
    word = 0;
    new = listing;
    tell(new);
    atomic { moves = 0; known = 0 }
#ifdef MOVER
    moved == 2 * MOVER && !arming;              /* it may be enrolled elsewhere: nothing of here is to stop it there */
    assert(!LEFT(word, done))
#endif
}

#ifdef MOVER
/* The same, by another thread. */
inline submit_other(f) {
    if
    :: (known & bit(f)) && group == f && !exited ->
#ifndef MUTANT_moved_and_not_a_newcomer
       newcomers = newcomers | bit(f);
#endif
#ifndef MUTANT_moved_and_not_asked
       seen = done & (word | bit(f));
       d_step {
           if :: !(seen & bit(f)) -> word = SETTLED(word, seen) | bit(f) :: else -> word = SETTLED(word, seen) fi;
           anew = anew + 1;
           seen = 0;
           assert(!running || !(stands & word & ~newcomers))
       };
       members = members | bit(f)
#endif
    :: else
    fi
}

proctype Mover() {
    byte seen, known, before;
    enrolled ->
    do
    :: moved < 2 * MOVER ->
       LOCK;
       atomic { group = 1 - group; moved++ }
       known = listing;
       submit_other(0); submit_other(1);
       known = word & ALL;
#ifdef MUTANT_moved_when_it_has_left
       if :: (known & bit(0)) && group != 0 -> withdraw(0) :: else fi;
       if :: (known & bit(1)) && group != 1 -> withdraw(1) :: else fi;
#else
       if :: (known & bit(0)) && (group != 0 || exited) -> withdraw(0) :: else fi;
       if :: (known & bit(1)) && (group != 1 || exited) -> withdraw(1) :: else fi;
#endif
       atomic { known = 0; moved++ }
       UNLOCK
    :: else -> break
    od
}
#endif

proctype Controller(byte f) {
    byte seen, stood, before; bool is_there;
    arming++;
    listing = listing | bit(f);         /* code: _controller/controller.Controller._arm: ".active[freeze]" ; ".records" ; ".covers(" ; "ask_all(" ; "has_stopped(" ; "record.exited" ; "withdraw(" */
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
    arming--;
    if
    :: true ->
       atomic { !(awaited & bit(f)) -> stands = stands | bit(f);
                assert(exited || IS_BEING_MOVED || (newcomers & bit(f)) || (group == f -> !running : !(word & bit(f))));
                assert(!running || !(stands & word & ~newcomers));
                /* nobody moves it any more: whom the freeze lists and whom it asks are the same */
                assert(exited || moves_itself || moved & 1 || !enrolled || !((members ^ word) & bit(f))) }
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
#ifdef FROM
    group = FROM;
#endif
#ifdef ONE
    done = bit(1); over = bit(1);
    atomic { run Mover(); run Thread(); run Controller(0) }
#elif defined(MOVER)
    atomic { run Mover(); run Thread(); run Controller(0); run Controller(1) }
#else
    atomic { run Thread(); run Controller(0); run Controller(1) }
#endif
    _nr_pr == 1;
    assert(!LEFT(word, done) && !(word & STAY))
}
