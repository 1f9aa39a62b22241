/* Two registered threads which stop each other, each for a world, in turn; and a hold over both.

   Thread 0 asks for world 0, and thread 1 for world 1. A third one, which is not registered, stops both for
   hold 2. HOLD_ONE: it stops thread 1 alone, and thaws when world 0 is over. LEASE: world 0 has a lease,
   which may run out while its owner is in a blocking region; then
   thread 1 asks for no world, and the hold is over thread 0 (TWO_WORLDS: not so).

   What is shown: each world gets its turn, and the hold stands in the end, so that all processes end.
   While a freeze stands none of its threads runs, and two worlds do not overlap. A thread with a world
   stops for nobody, and nobody takes it for stopped. */

/* run "each world gets its turn" */
/* run "a hold that waits for a world" -DHOLD_ONE */
/* run "a lease that runs out" -DLEASE */
/* long "two worlds, one with a lease" -DLEASE -DTWO_WORLDS */
/* mutant keeps_its_turn -DHOLD_ONE */
/* mutant thaw_tells_nobody -DLEASE */

#include "word.pml"
#define HOLD 2

int word[2];
byte awaited[3];                        /* Freeze.awaited: the threads, for each freeze */
bool away[2];                           /* Record.away, Parking.away */
bool barred[2];                         /* it queues, and does not keep its turn: Freeze.keeps_turn */
byte entered[2];                        /* Parking.entered */
bool rung[2];                           /* Parking.bell */
byte first, second;                     /* Turns.queue: a world's number and one, or 0 */

bool running[2];                        /* the thread executes the application's code */
byte stands;                            /* freezes for which all stood, and which are not done */
byte over;

#if defined(LEASE) && !defined(TWO_WORLDS)
#define COVERS(f, t)      ((f) != (t) && ((f) != HOLD || (t) == 0))
#elif defined(HOLD_ONE)
#define COVERS(f, t)      ((f) != (t) && ((f) != HOLD || (t) == 1))
#else
#define COVERS(f, t)      ((f) != (t))
#endif

/* What a thread has to stop for. With a world of its own it has to stop for nothing. */
#define COMMANDING(s, d)  (((s) >> 8) & ~(d))
#define PENDING(s, d)     (COMMANDING(s, d) -> 0 : LEFT(s, d))

inline join(w) {                        /* code: _controller/turns.Turns._join: "keeps_turn = False" ; "queue[freeze]" */
    d_step {
        if
        :: first != w + 1 && second != w + 1 ->
           if :: !first -> first = w + 1 :: else -> second = w + 1 fi
        :: else
        fi
    }
}

inline leave(w) {                       /* code: _controller/turns.Turns.leave */
    d_step {
        if
        :: first == w + 1 -> first = second; second = 0
        :: second == w + 1 -> second = 0
        :: else
        fi
    }
}

inline tell(t, status) {                /* code: _refrigerator/refrigerator.tell: "commands_in(" ; "in status.freezes" ; ".arrive(" */
    if
    :: COMMANDING(status, done) -> status = 0
    :: else -> status = status & ALL
    fi;
    do
    :: status & bit(0) -> atomic { awaited[0] = awaited[0] & ~bit(t); status = status & ~bit(0) }
    :: !(status & 1) && (status & bit(1)) ->
       atomic { awaited[1] = awaited[1] & ~bit(t); status = status & ~bit(1) }
    :: status == bit(2) -> atomic { awaited[2] = awaited[2] & ~bit(t); status = 0 }
    :: !status -> break
    od
}

inline stand(t) {                       /* code: _refrigerator/refrigerator._stand: "_get_ready(" ; "change(parked" */
    do
    :: seen = done & (word[t] | (word[t] >> 8));
       if
       :: !PENDING(word[t], seen) && !(word[t] & STAY) -> break
       :: else
       fi;
#ifndef MUTANT_keeps_its_turn           /* code: _controller/turns.Turns.pass_on: "keeps_its_place" ; "leave(" */
       if                               /* a world keeps its place during another one */
       :: barred[t] && (LEFT(word[t], seen) & bit(HOLD)) -> leave(t)
       :: else
       fi;
#endif
       d_step {
           if
           :: PENDING(word[t], seen) -> word[t] = SETTLED(word[t], seen) | STAY; new = word[t]
           :: else -> new = 0
           fi;
           seen = 0
       }
       tell(t, new);
       do
       :: !(word[t] & STAY) -> break
       :: word[t] & STAY ->
          if
          :: atomic { LEFT(word[t], done) & bit(0) -> entered[t] = bit(0) }
          :: atomic { LEFT(word[t], done) & bit(1) -> entered[t] = bit(1) }
          :: atomic { LEFT(word[t], done) & bit(2) -> entered[t] = bit(2) }
          :: !LEFT(word[t], done)
          fi;
#ifndef MUTANT_keeps_its_turn
          if                            /* the hold may have come while it stood for another freeze */
          :: barred[t] && (word[t] & bit(HOLD)) -> leave(t)
          :: else
          fi;
#endif
          if
          :: (word[t] & STAY) && (entered[t] & ~done) -> atomic { rung[t] -> rung[t] = false }
          :: else
          fi;
          entered[t] = 0;
          seen = done & word[t];
          d_step { word[t] = SETTLED(word[t], seen); seen = 0 }
       od;
       break
    od;
    atomic { rung[t] = false; seen = 0; new = 0 }
}

inline settle(t) {                      /* whoever takes a thread's commands away tells those who wait for it */
    seen = done & (word[t] | (word[t] >> 8));
    d_step { word[t] = SETTLED(word[t], seen); seen = 0; new = word[t] }
}

inline thaw(w) {                        /* code: _controller/controller.Controller._thaw */
    atomic { done = done | bit(w); stands = stands & ~bit(w) };
    if
    :: w != 0 -> settle(0); rung[0] = true
    :: else
    fi;
    if
    :: w != 1 -> settle(1); rung[1] = true
    :: else
    fi;
    if
    :: w != HOLD ->                     /* the owner commands no more */
       settle(w);
#ifndef MUTANT_thaw_tells_nobody
       if
       :: away[w] -> tell(w, new)
       :: else
       fi;
#endif
       new = 0;
#ifndef MUTANT_turn_kept
       leave(w)
#endif
    :: else -> new = 0
    fi
}

inline arm(t, f) {                      /* code: _controller/controller.Controller._arm: "ask_all(" ; "has_stopped(" ; "awaited.pop(" */
    awaited[f] = awaited[f] | bit(t);
    seen = done & (word[t] | (word[t] >> 8));
    d_step { word[t] = SETTLED(word[t], seen) | bit(f); new = word[t]; seen = 0 }
    if
#ifdef MUTANT_arm_ignores_commands
    :: (new & STAY) || away[t] ->
#else
    :: !COMMANDING(new, done) && ((new & STAY) || away[t]) ->
#endif
       awaited[f] = awaited[f] & ~bit(t)
    :: else
    fi;
    new = 0
}

inline begin_to_stand(f) {
    atomic {
        !awaited[f] || (done & bit(f));
        if
        :: !(done & bit(f)) ->
           stands = stands | bit(f);
           assert(!(COVERS(f, 0) && running[0]) && !(COVERS(f, 1) && running[1]));
           assert((stands & 3) != 3)
        :: else
        fi
    }
}

inline run_again(t) {
    atomic {
        running[t] = true;
        assert(!((stands & bit(1 - t)) || ((stands & bit(HOLD)) && COVERS(HOLD, t))))
    }
}

proctype Thread(byte me) {
    int new; byte seen;
    run_again(me);
#if defined(LEASE) && !defined(TWO_WORLDS)
    if :: me == 1 -> goto visits :: else fi;
#endif
    do                                  /* code: _controller/turns.Turns.take: "_join(" ; "wait_away(" ; "self._keep," */
    :: running[me] = false;
       barred[me] = true;
       join(me);
       away[me] = true;
       new = word[me];
       tell(me, new);
       /* code: _controller/turns.Turns._need_not_wait: "self.current" */
       (first == me + 1 || (first != me + 1 && second != me + 1));
       away[me] = false;
       stand(me);
       barred[me] = false;              /* code: _controller/turns.Turns._may_keep: ".current" ; "change(commanding" */
       if
       :: first != me + 1
       :: else ->                       /* code: _registry/status.commanding: "settled(" ; ".due(" ; "Status(" */
          seen = done & word[me];
          d_step {
              new = SETTLED(word[me], seen);
#ifdef MUTANT_command_looks_not
              word[me] = new | COMMANDS(me); new = 1;
#else
              if
              :: !PENDING(new, seen) -> word[me] = new | COMMANDS(me); new = 1
              :: else -> new = 0
              fi;
#endif
              seen = 0
          }
          if
          :: atomic { new -> new = 0; break }
          :: else
          fi
       fi
    od;
    arm(1 - me, me);
    run_again(me);                      /* it is no member of its own world */
    begin_to_stand(me);
    if
    :: true
    :: true ->                          /* in its world it waits in a region, till its lease is out or longer */
       atomic { running[me] = false; away[me] = true };
       new = word[me];
       tell(me, new);
       if
       :: true
#ifdef LEASE
       :: me == 0 -> (done & bit(me)) && (over & bit(HOLD))
#endif
       fi;
       away[me] = false;
       stand(me);
       run_again(me)
    fi;
    thaw(me);
visits:
    over = over | bit(me);
    do
    :: PENDING(word[me], done) -> running[me] = false; stand(me); run_again(me)
    :: over == 7 -> break
    od
}

proctype Lease() {                      /* of world 0 */
    int new; byte seen;
    stands & bit(0) || over & bit(0);
    thaw(0)
}

proctype Holder() {
    int new; byte seen;
#ifndef HOLD_ONE
    arm(0, HOLD);
#endif
#if !defined(LEASE) || defined(TWO_WORLDS)
    arm(1, HOLD);
#endif
    begin_to_stand(HOLD);
#ifdef HOLD_ONE
    over & bit(0);
#endif
    thaw(HOLD);
    over = over | bit(HOLD)
}

init {
    atomic {
        run Thread(0); run Thread(1); run Holder();
#ifdef LEASE
        run Lease()
#endif
    }
    _nr_pr == 1
}
