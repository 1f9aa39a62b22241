/* The completion of a freeze: how the one who thaws has all go who stand there, with two rings.

   Some waiters, one of which is the main thread. That one may stop answering at any point, for ever: its
   signal handler does what it likes. Two thaws of the same freeze may come at once. A waiter may be rung
   for a call, leave and come again.

   What is shown: all the others go, whatever the main thread does. */

/* run "all go, whatever the main thread does" */
/* long "the same, with a call" -DCALL */
/* long "the same, with two thaws" -DTWO_THAWS */

#ifndef N
#define N 3                             /* waiters; the first is the main thread */
#endif
#define bit(f) (1 << (f))

bool thawed;                            /* Freeze.done */
bool done;                              /* Completion.done */
byte waiting;                           /* Completion._waiting */
byte chain;                             /* Completion._chain; here anyone may be the last of it */
byte rung;                              /* the bells that ring */

inline choose(set) {                    /* any of a set that is not empty */
    if
    :: set & bit(0) -> one = 0
    :: set & bit(1) -> one = 1
    :: set & bit(2) -> one = 2
    :: set & bit(3) -> one = 3
    fi
}

inline wake_one() {                     /* code: _ground/completion.Completion._wake_one: "_chain.pop()" ; "in self._waiting" ; "bell.ring()" */
    do
    :: atomic { !chain -> break }
    :: atomic { chain -> choose(chain); chain = chain & ~bit(one) }
       if
       :: waiting & bit(one) ->
          rung = rung | bit(one);
          one = 0;
          break
       :: !(waiting & bit(one)) -> one = 0     /* it has left on its own, and has woken another */
       fi
    od
}

proctype Main() {                       /* answers, but for how long */
    byte one, left;
    do
    :: waiting = waiting | bit(0);      /* code: _ground/completion.Completion.enter: "_waiting[bell]" */
       if
       :: true -> goto elsewhere
       :: thawed
       :: !thawed -> atomic { rung & bit(0) -> rung = rung & ~bit(0) }
       fi;
       waiting = waiting & ~bit(0);     /* code: _ground/completion.Completion.leave: "_waiting.pop(" ; "self.done" */
       if :: true -> goto elsewhere :: true fi;
       if
       :: done ->
#ifdef MUTANT_main_thread_takes         /* takes the next off the chain as others do, and does not come to ring */
          atomic { if :: chain -> choose(chain); chain = chain & ~bit(one) :: else fi }
          if :: true -> goto elsewhere :: true fi;
          atomic { rung = rung | bit(one); one = 0 }
#else
          left = waiting;               /* it rings all, and takes nobody's turn to be rung */
          do
          :: atomic { left -> choose(left); left = left & ~bit(one); rung = rung | bit(one); one = 0 }
          :: left -> goto elsewhere
          :: !left -> break
          od
#endif
       :: else
       fi;
       if
       :: thawed -> break
       :: else
       fi
    od;
elsewhere:
    atomic { left = 0; one = 0 }
}

proctype Waiter(byte me) {
    byte one;
    do
    :: waiting = waiting | bit(me);
       if
       :: thawed
       :: !thawed -> atomic { rung & bit(me) -> rung = rung & ~bit(me) }
       fi;
       waiting = waiting & ~bit(me);
       if
       :: done ->
#ifndef MUTANT_leaver_rings_none
          wake_one()
#endif
       :: else
       fi;
       if
       :: thawed -> break
       :: else
       fi
    od
}

proctype Thaw() {
    byte one;
#ifndef MUTANT_thawed_last
    thawed = true;
#endif
    done = true;                        /* code: _ground/completion.Completion.complete_all: "done = True" ; "list(self._waiting)" ; "_wake_one()" ; "_wake_one()" */
    chain = waiting;
    wake_one();
#ifndef MUTANT_one_ring
    wake_one();
#endif
    thawed = true
}

proctype Call() {                       /* a world asks one of them for something */
    if
    :: rung = rung | bit(1)
    :: rung = rung | bit(0)
    fi
}

init {
    atomic {
        run Main(); run Waiter(1); run Waiter(2);
#ifdef CALL
        run Call();
#endif
#if N > 3
        run Waiter(3);
#endif
        run Thaw();
#ifdef TWO_THAWS
        run Thaw()
#endif
    }
    _nr_pr == 1
}
