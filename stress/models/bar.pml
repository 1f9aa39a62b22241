/* The bar of the second engine: two threads and a lock, and one freeze with where="unlocked".

   Each thread goes round: outside, into a call that waits for the lock, inside, perhaps asleep in a call of C
   there, and out again. Before each instruction it comes to the trap. The controller puts up the bar, looks
   until both have arrived, and thaws. With a watchdog, that may thaw at any moment, and whoever waits for a
   look may end it at any moment, as if a signal handler had kept it for so long.

   What is shown: while the freeze stands no thread executes an instruction of the program, and nobody holds
   the lock; a look reads where a thread is, and counts it, only if that has executed nothing since it was
   claimed; and all come to their end.

   A thread is `awake` if it has a processor or wants one, also in a call of C, and `moved` is what its clock
   tells since the first glance. Who waits for the lock is awake from the step on in which it is released. Once
   it has the lock it may sleep again, until it has the GIL to say so (`gil`); a long pause sees it wake. */

/* run "nobody runs, nobody holds the lock" */
/* run "who is looked at does not run" -DWATCHDOG -DROUNDS=1 */
/* mutant claimed_let_go -DWATCHDOG -DROUNDS=1 */
/* mutant reads_on -DWATCHDOG -DROUNDS=1 */
/* mutant thaw_does_not_wait -DWATCHDOG -DROUNDS=1 */
/* mutant begins_too_late -DWATCHDOG -DROUNDS=1 */

#ifndef ROUNDS
#define ROUNDS  2
#endif

#define OUT     0                       /* at an instruction outside */
#define WANT    1                       /* in the call that waits for the lock */
#define IN      2                       /* at an instruction in the section */
#define SLEEP   3                       /* in a call of C in the section */

byte at[2];
bool awake[2], moved[2];
bool held;                              /* the lock */
bool gil[2], slept[2], patient;         /* who sleeps for the GIL; who did at the first glance; Bar.pause */
bool listed, up, stands, done;          /* in trap.bars; the events are on; Freeze.stands; Freeze.done */
bool stopped[2];                        /* Bar.stopped */
bool under_way;                         /* a look: not Look.ended */
bool looked_at[2], ran[2];              /* Look.idents; who has executed something since it began */
byte ended;

#define CLAIMED(t) (under_way && looked_at[t])

inline wait_for_look() {                /* code: _machine/looks.Look.wait: "not self.ended" ; "self.end()" */
    if
    :: !under_way
#ifdef WATCHDOG
    :: under_way = false                /* it has waited for long enough */
#endif
    fi
}

inline trap(t) {
    do
    :: !up -> break
#ifdef MUTANT_claimed_let_go
    :: up && done -> break
#endif
    :: up && CLAIMED(t) ->              /* code: _machine/trap._stay: "wait_unclaimed(" ; "call()" */
       awake[t] = false;
       wait_for_look();
       d_step { awake[t] = true; moved[t] = true }
    :: up && !CLAIMED(t) && done -> break
#ifdef MUTANT_way_back_not_barred
    :: up && !CLAIMED(t) && !done && stopped[t] -> break
#else
    :: up && !CLAIMED(t) && !done && stopped[t] ->  /* code: _machine/bar.Bar.stand: "come_back(" */
       awake[t] = false;
       done;
       awake[t] = true
#endif
    :: up && !CLAIMED(t) && !done && !stopped[t] ->
       if                               /* code: _machine/bar.Bar.stops: "self.concerns(" ; "self.stopped.get(" ; "self._decide(" */
       :: at[t] != OUT -> break         /* code: _machine/bar.Bar._decide: "find_shelter(" ; "self._arrive(" */
       :: at[t] == OUT -> stopped[t] = true
       fi
    od
}

inline execute(t) {
    d_step {
        assert(!stands || done);        /* an instruction of the program */
        ran[t] = true
    }
}

proctype Thread(byte t) {
    byte rounds;
    do
    :: rounds < ROUNDS ->
       trap(t); execute(t);             /* the call of acquire() begins */
       at[t] = WANT;
       do
       :: atomic { !held -> held = true }; break
       :: atomic { held -> awake[t] = false };
          awake[t]                      /* whoever releases it wakes this one, in the same step */
       od;
       if
       :: true
       :: d_step { awake[t] = false; moved[t] = true; gil[t] = true };
          d_step { awake[t] = true; moved[t] = true; gil[t] = false }
       fi;
       at[t] = IN;                      /* the call has returned */
       trap(t); execute(t);
       if
       :: true
       :: at[t] = SLEEP; awake[t] = false;
          d_step { awake[t] = true; moved[t] = true };
          at[t] = IN;
          trap(t); execute(t)
       fi;
       d_step {                         /* the call of release() */
           held = false;
           if
           :: at[1 - t] == WANT && !awake[1 - t] -> awake[1 - t] = true; moved[1 - t] = true
           :: else
           fi
       };
       at[t] = OUT;
       trap(t); execute(t);
       rounds++
    :: rounds == ROUNDS -> break
    od;
    atomic { stopped[t] = true; awake[t] = false; ended++ }   /* it has no frame any more */
}

#ifdef MUTANT_looked_once
#define QUIET(t)   true
#else
#define QUIET(t)   (stopped[t] || (!awake[t] && !moved[t]))
#endif
#ifdef MUTANT_not_claimed
#define CLAIMS(t)  false
#else
#define CLAIMS(t)  !stopped[t]
#endif
#ifdef MUTANT_reads_on
#define ENDED      false
#else
#define ENDED      (!under_way)
#endif

#define COUNTS     ((stopped[0] || at[0] < IN) && (stopped[1] || at[1] < IN))
#define WAITS(t)   (!stopped[t] && at[t] == WANT)
#ifdef MUTANT_not_in_doubt
#define DOUBT      false
#else
#define DOUBT      (!patient && (WAITS(0) || WAITS(1)))
#endif

/* One reading, or the count: it ends with a look that has been ended, with no step in between. */
#define READ(t)    assert(stopped[t] || !ran[t])

inline thaw() {                         /* code: _controller/controller.Controller._thaw_part: "freeze.done = True" ; ".take_down()" */
    done = true;
    listed = false;                     /* code: _machine/trap.take_down: "bars.pop(" ; "wait_for_looks(" ; "change()" */
#ifndef MUTANT_thaw_does_not_wait
    wait_for_look();
#endif
    atomic { up = false; stands = false }
}

proctype Controller() {
    listed = true;
    up = true;                          /* code: _machine/bar.Bar.put_up */
    do
    :: d_step { moved[0] = false; moved[1] = false; slept[0] = gil[0]; slept[1] = gil[1] };
       if                               /* code: _machine/bar.Bar._look: "self._glance()" ; "sleep(" ; "self._glance()" ; "_want_to_run(" ; "self._look_at" */
       :: patient -> (!slept[0] || moved[0]) && (!slept[1] || moved[1])
       :: else
       fi;
       if
       :: QUIET(0);
          if
          :: QUIET(1);
             d_step {                   /* code: _machine/looks._make: "under_way[look]" ; "call(look)" ; "look.end()" */
                 looked_at[0] = CLAIMS(0); ran[0] = false;
                 looked_at[1] = CLAIMS(1); ran[1] = false;
                 under_way = true
             };
             if                         /* code: _machine/bar.Bar._count_all: "trap.inside()" ; "current_frames()" ; "trap.is_up(" ; "self._glance()" ; "_want_to_run(" ; "self._shelter_of(" ; "self._all_wait(" ; "self._count(" */
#ifdef MUTANT_begins_too_late
             :: QUIET(0);
#else
             :: listed && QUIET(0);
#endif
                if
                :: QUIET(1) ->
                   if                   /* code: _machine/looks.StillFrame.f_lasti: ".ended" ; "self._frame.f_lasti" */
                   :: atomic { ENDED -> goto looked }
                   :: atomic { !ENDED -> READ(0); READ(1) }
                   fi;
                   if
#ifdef MUTANT_waiters_counted_too_soon
                   :: true ->
                      if :: at[0] < IN -> stopped[0] = true :: else fi;
                      if :: at[1] < IN -> stopped[1] = true :: else fi
#else
                   :: atomic { COUNTS && DOUBT -> patient = true; goto looked }    /* code: _machine/bar.Bar._is_in_doubt: "may_own" ; "self.pause = " */
                   :: atomic { COUNTS && !DOUBT -> skip };  /* (one instruction each, whatever comes) */
                      if                /* code: _machine/bar.Bar._arrive: "look.ended" ; "self.stopped[ident] = place" */
                      :: atomic { ENDED -> goto looked }
                      :: atomic { !ENDED -> READ(0); stopped[0] = true }
                      fi;
                      if
                      :: atomic { ENDED -> goto looked }
                      :: atomic { !ENDED -> READ(1); stopped[1] = true }
                      fi
                   :: else
#endif
                   fi
                :: else
                fi
             :: else
             fi;
looked:      under_way = false
          :: else
          fi
       :: else
       fi;
       if
       :: done -> break                 /* somebody has thawed meanwhile */
       :: !done && stopped[0] && stopped[1] -> break
       :: else
       fi
    od;
    atomic { !done -> stands = true } unless { done };
    assert(done || !held || ended == 2);
    thaw()
}

proctype Watchdog() {
    if
    :: true
    :: up -> thaw()
    fi
}

init {
    atomic {
        awake[0] = true; awake[1] = true;
        run Thread(0); run Thread(1); run Controller();
#ifdef WATCHDOG
        run Watchdog()
#endif
    }
}
