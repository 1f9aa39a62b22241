/* One thread, and freezes that stop it, look, and let it go.

   What is here: the arming of a freeze, the refrigerator, the thaw (two of one freeze at once as well),
   blocking regions, a time-out at any moment, an exception in the refrigerator, the thread's exit.
   Freezes overlap: one may be a world and the others holds, or worlds of other freezers.

   What is shown: while a freeze stands the thread runs none of the application's code. Whoever stands
   is let go, and whoever waits is told: no process is left waiting at the end (spin's invalid end
   states). A freeze does not count a stay that was over before it began. The thread leaves no
   safepoint with a freeze that was there when it came and that is not done. Nothing stays on the
   list that holds the thread. */

/* run "stillness, nobody left, fairness" */
/* long "the same, with two thaws of one freeze" -DWATCHDOG -DHITS=0 */
/* long "the same, with two thaws and an exception" -DWATCHDOG */
/* long "three freezes, no region" -DN=3 -DVISITS=0 -DHITS=0 */
/* mutant waits_on -DWATCHDOG -DVISITS=0 -DHITS=0 */

#include "word.pml"
#ifndef N
#define N 2                             /* freezes */
#endif
#ifndef VISITS
#define VISITS 1                        /* safepoints and regions that nobody asks for */
#endif
#ifndef HITS
#define HITS 1                          /* exceptions in the refrigerator */
#endif
#define EVERYONE (bit(N) - 1)

int word;
byte listing, awaited;                  /* Registry.active; Freeze.awaited: whether the thread is in it */
bool away, exited;                      /* Record.away, Record.exited */

byte entered;                           /* Parking.entered: the completion at which the thread waits */
bool rung;                              /* Parking.bell */

bool running = true;                    /* the thread executes the application's code */
bool inside;                            /* it has a stay, or had one and has not noticed its end */
byte late;                              /* freezes that began when that stay should have been over */
byte stands;                            /* freezes for which all stood, and which are not done */
byte over;                              /* freezes whose controller has returned */

/* code: _refrigerator/refrigerator.tell: "in status.freezes" ; ".arrive(" */
inline tell(status) {                   /* the number is used up */
    do
    :: status & bit(0) -> atomic { awaited = awaited & ~bit(0); status = status & ~bit(0) }
    :: !(status & bit(0)) && (status & bit(1)) ->
       atomic { awaited = awaited & ~bit(1); status = status & ~bit(1) }
    :: !(status & 3) && (status & bit(2)) ->
       atomic { awaited = awaited & ~bit(2); status = status & ~bit(2) }
    :: !(status & ALL) -> status = 0; break
    od
}

inline park() {                         /* code: _refrigerator/refrigerator._stand: "change(settled)" ; ".due(" ; "change(parked" */
    seen = done & word;                 /* code: _registry/status.parked: "settled(" ; ".stay is not None" ; "Status(" */
    d_step {
        if
        :: LEFT(word, seen) ->
           new = SETTLED(word, seen) | STAY;
           if :: !(word & STAY) -> late = 0 :: else fi;
           word = new; inside = true
        :: else -> new = word & (inside -> STAY : 0)
        fi;
        seen = 0
    }
}

inline stand() {                        /* code: _refrigerator/refrigerator._stand */
    new = 0;
again:
    park();
    if
    :: hit < HITS && (new & STAY) -> hit++; goto again   /* an exception: it is begun again */
    :: true
    fi;
    if
    :: new & STAY ->
#ifdef MUTANT_fresh_look                /* tells whom it finds on its list now, not when it parked */
       new = word;
#endif
       tell(new)                        /* code: _refrigerator/refrigerator._stand: "_note_stop(" */
    :: else
    fi;
    new = 0;
    do                                  /* code: _refrigerator/refrigerator._stand: "while status.stay is stay" ; "_wait_at(" ; "change(settled)" */
    :: atomic { !inside -> rung = false; break }
    :: inside ->
       if                               /* it goes where one of those that hold it will ring */
       :: atomic { LEFT(word, done) & bit(0) -> entered = bit(0) }
       :: atomic { LEFT(word, done) & bit(1) -> entered = bit(1) }
       :: atomic { LEFT(word, done) & bit(2) -> entered = bit(2) }
       :: !LEFT(word, done)
       fi;
       if                               /* code: _refrigerator/refrigerator._wait_at: ".enter(" ; "not holder.done" ; "bell.wait(" ; "_step_out(" */
       :: (word & STAY) && (entered & ~done) ->
          if
          :: atomic { rung -> rung = false }
          :: atomic { hit < HITS -> hit++; entered = 0; goto again }   /* an exception */
          fi
       :: else
       fi;
       entered = 0;
       seen = done & word;
       d_step {
           word = SETTLED(word, seen); seen = 0;
           if :: !(word & STAY) -> inside = false; late = 0 :: else fi
       }
    od
}

proctype Thread() {
    int new; byte seen, visits, due, hit;
    do
    :: atomic { visits < VISITS || LEFT(word, done) ->
                running = false; due = LEFT(word, done);
                if :: visits < VISITS -> visits++ :: else fi }
       if
       :: true                          /* a safepoint */
       :: true ->
#ifdef MUTANT_region_looks_first
          new = word & ALL; away = true;
#else
          away = true;                  /* code: _refrigerator/blocking.Blocking.__enter__: "away = place" ; ".value" */
          new = word & ALL;
#endif
          tell(new);                    /* code: _refrigerator/blocking.Blocking.__enter__: "tell(" */
          if
          :: true
          :: true -> over == EVERYONE   /* its own wait is a long one */
          fi;
          away = false                  /* code: _refrigerator/blocking.Blocking.__exit__: "away = None" ; "visit(" */
       fi;
       stand();
       atomic { assert(!(due & ~done)); due = 0; running = true; assert(!stands) }
    :: over == EVERYONE -> break
    :: true -> break
    od;
    atomic { running = false; due = 0; hit = 0; visits = 0 }
    /* code: _registry/registry.Registry.note_exit: "exited = True" ; "_take_off(" ; ".arrive(" */
#ifdef MUTANT_exited_last
    word = 0; new = listing; tell(new); exited = true
#else
    exited = true;
    word = 0;
    new = listing;
    tell(new)
#endif
}

inline thaw(f) {
    /* code: _controller/controller.Controller._thaw_part: "done = True" ; "complete_all()" */
#ifndef MUTANT_done_last
    atomic { done = done | bit(f); stands = stands & ~bit(f) };
#endif
#ifdef MUTANT_hand_over                 /* takes the freeze off, and in a second step ends the stay */
    word = word & ~bit(f);
    seen = !(word & ALL);
    if :: seen -> word = word & ~STAY; seen = 0 :: else fi;
#endif
    atomic { rung = rung || (entered & bit(f)) };
#ifdef MUTANT_done_last                 /* says that it is done when all have been told */
    atomic { done = done | bit(f); stands = stands & ~bit(f) }
#endif
}

inline arm(f) {
    atomic {
        if :: inside && listing == over -> late = late | bit(f) :: else fi;
        listing = listing | bit(f);
        awaited = awaited | bit(f)
    }
    /* code: _controller/controller.Controller._arm: "ask_all(" ; "has_stopped(" ; "awaited.pop(" ; "record.exited" ; "withdraw(" */
    /* code: _registry/status.listed: "settled(" ; "(*old.freezes, freeze)" */
#ifdef MUTANT_arm_looks_first
    stopped = exited || away;
#endif
    seen = done & (word | bit(f));
    atomic {
        if :: !(seen & bit(f)) -> word = SETTLED(word, seen) | bit(f) :: else fi;
        seen = 0; stood = ((word & STAY) != 0)
    };
#ifndef MUTANT_arm_looks_first
    stopped = exited || away;           /* code: _registry/record.Record.is_away: "self.away" */
#endif
    if
    :: atomic { stopped || stood -> awaited = awaited & ~bit(f) }
    :: else
    fi;
    atomic { stopped = false; stood = false }
    if                                  /* code: _registry/registry.Registry.withdraw: "_take_off(" ; ".arrive(" */
    :: exited ->
       seen = done & word;
       atomic { word = SETTLED(word & ~bit(f), seen); seen = 0 };
       awaited = awaited & ~bit(f)
    :: else
    fi
}

proctype Controller(byte f) {
    byte seen; bool stopped, stood;
    arm(f);
    if
    :: true ->                          /* the time is long */
       /* code: _controller/controller.Controller.all_stand: "freeze.awaited" */
       atomic {
#ifdef MUTANT_waits_on                  /* looks for stragglers, and not whether somebody has thawed */
           !(awaited & bit(f));
#else
           !(awaited & bit(f)) || (done & bit(f));
#endif
           if
           :: !(done & bit(f)) -> stands = stands | bit(f); assert(!running); assert(!(late & bit(f)))
           :: else
           fi
       }
       thaw(f)
    :: true ->                          /* the time is out, at any moment */
#ifndef MUTANT_left_behind              /* the request stays, as in the kernel's patch of 2005 */
       thaw(f)
#endif
    fi;
    over = over | bit(f)
}

#ifdef WATCHDOG
proctype Watchdog(byte f) {             /* thaws as well, at any moment: a lease that runs out */
    byte seen;
    listing & bit(f);
    thaw(f)
}
#endif

init {
    atomic {
        run Thread();
#ifdef WATCHDOG
        run Watchdog(0);
#endif
        run Controller(0); run Controller(1);
#if N > 2
        run Controller(2)
#endif
    }
    _nr_pr == 1;
    assert(!LEFT(word, done) && !(word & STAY))
}
