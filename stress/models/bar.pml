/* The bar of the second engine: two threads and a lock, and one freeze with where="unlocked".

   Each thread goes round: outside, into a call that waits for the lock, inside, perhaps asleep in a call of C
   there, and out again. Before each instruction it comes to the trap. The controller puts up the bar, looks
   until both have arrived, and thaws.

   What is shown: while the freeze stands no thread executes an instruction of the program, and nobody holds
   the lock; and all come to their end.

   A thread is `awake` if it has a processor or wants one, also in a call of C, and `moved` is what its clock
   tells since the first glance. Who waits for the lock is awake from the step on in which it is released. */

/* run "nobody runs, nobody holds the lock" */

#define OUT     0                       /* at an instruction outside */
#define WANT    1                       /* in the call that waits for the lock */
#define IN      2                       /* at an instruction in the section */
#define SLEEP   3                       /* in a call of C in the section */

byte at[2];
bool awake[2], moved[2];
bool held;                              /* the lock */
bool up, stands, done;                  /* the events are on; Freeze.stands; Freeze.done */
bool stopped[2];                        /* Bar.stopped */
byte claim[2];                          /* _claims: 0, 1 the thread itself, 2 a look */
byte ended;

inline trap(t) {
    do
    :: !up || done -> break
#ifdef MUTANT_way_back_not_barred
    :: up && !done && stopped[t] -> break
#else
    :: up && !done && stopped[t] ->     /* code: _machine/bar.Bar.stand: "come_back(" */
       awake[t] = false;
       done;
       awake[t] = true
#endif
    :: up && !done && !stopped[t] ->    /* code: _machine/bar.Bar.stops: "in self.stopped" ; "_is_as_before(" ; "not in _claims" ; "_claims.setdefault(" ; "_decide(" ; "_unclaim(" */
       if
       :: at[t] == IN && claim[t] == 0 -> break         /* it knows that it is in the section */
       :: atomic { claim[t] == 0 -> claim[t] = 1 };
          if                            /* code: _machine/bar.Bar._decide: "in self.stopped" ; "find_shelter(" ; "_arrive(" */
          :: stopped[t] -> claim[t] = 0
          :: !stopped[t] && at[t] != OUT -> claim[t] = 0; break
          :: !stopped[t] && at[t] == OUT -> stopped[t] = true; claim[t] = 0
          fi
       :: claim[t] == 2 ->              /* it waits for the end of the look */
          awake[t] = false;
          claim[t] != 2 || done;
          d_step { awake[t] = true; moved[t] = true }
       fi
    od
}

inline execute(t) {
    assert(!stands || done)             /* an instruction of the program */
}

proctype Thread(byte t) {
    byte rounds;
    do
    :: rounds < 2 ->
       trap(t); execute(t);             /* the call of acquire() begins */
       at[t] = WANT;
       do
       :: atomic { !held -> held = true }; break
       :: atomic { held -> awake[t] = false };
          awake[t]                      /* whoever releases it wakes this one, in the same step */
       od;
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
    :: rounds == 2 -> break
    od;
    atomic { stopped[t] = true; awake[t] = false; ended++ }   /* it has no frame any more */
}

inline unclaim() {
    d_step {
        if :: claim[0] == 2 -> claim[0] = 0 :: else fi;
        if :: claim[1] == 2 -> claim[1] = 0 :: else fi
    }
}

#ifdef MUTANT_looked_once
#define QUIET(t)   true
#else
#define QUIET(t)   (stopped[t] || (!awake[t] && !moved[t]))
#endif
#ifdef MUTANT_not_claimed
#define CLAIM(t)   skip
#define CLAIMED(t) true
#else
#define CLAIM(t)   atomic { if :: !stopped[t] && claim[t] == 0 -> claim[t] = 2 :: else fi }
#define CLAIMED(t) (stopped[t] || claim[t] == 2)
#endif

proctype Controller() {
    up = true;                          /* code: _machine/bar.Bar.put_up */
    do
    :: moved[0] = false; moved[1] = false;       /* code: _machine/bar.Bar._look: "self._glance()" ; "sleep(" ; "self._glance()" ; "_want_to_run(" ; "self._look_at" */
       if
       :: QUIET(0);
          if
          :: QUIET(1);
             CLAIM(0); CLAIM(1);        /* code: _machine/bar.Bar._count_all: "_claims.setdefault(" ; "self._glance()" ; "_want_to_run(" ; "self._shelter_of(" ; "self._all_wait(" ; "self._count(" */
             if
             :: CLAIMED(0) && CLAIMED(1) && QUIET(0);
                if
                :: QUIET(1) ->
                   if
#ifdef MUTANT_waiters_counted_too_soon
                   :: true ->
                      if :: at[0] < IN -> stopped[0] = true :: else fi;
                      if :: at[1] < IN -> stopped[1] = true :: else fi
#else
                   :: (stopped[0] || at[0] < IN) && (stopped[1] || at[1] < IN) ->
                      stopped[0] = true; stopped[1] = true
                   :: else
#endif
                   fi
                :: else
                fi
             :: else
             fi;
             unclaim()                  /* code: _machine/bar.Bar._look_at: "self._count_all(" ; "_unclaim(" */
          :: else
          fi
       :: else
       fi;
       if
       :: stopped[0] && stopped[1] -> break
       :: else
       fi
    od;
    stands = true;
    assert(!held || ended == 2);
    done = true;                        /* code: _controller/controller.Controller._thaw: "freeze.done = True" ; ".take_down()" */
    atomic { up = false; stands = false }
}

init { atomic { awake[0] = true; awake[1] = true; run Thread(0); run Thread(1); run Controller() } }
