/* The flag: whoever changes what is asked sets it, and then looks again.

   A poster asks a thread for something; another one asks for something else, and is done with it. An
   exception may cut either off at any step while it sets the flag, which is then done again. The thread is
   one that only its waker reaches: it comes to a safepoint when it is called, and not before.

   What is shown: whenever nobody is about to set the flag, it is up if and only if something is pending.
   In the end it is down. The thread does what it was asked for. */

/* run "the flag is right when nobody sets it" */

#define TODO  1
#define OTHER 2

byte pending;                           /* Registry.pending */
bool armed;                             /* Freezer.armed */
bool listed;                            /* Record.todo: the thread's list has the todo */
bool called;                            /* the waker was called */
byte busy;                              /* who has changed what is pending, and has yet to set the flag */
bool hit;                               /* the exception has come */

/* code: _registry/registry.Registry._set_flag: "_is_asked()" ; ".armed = " ; "_is_asked() == asked" ; "mistaken = True" ; "call_waker()" */
inline set_flag() {
    do
    :: asked = pending != 0;
       armed = asked;
       if
       :: atomic { !hit -> hit = true; asked = false;
#ifndef MUTANT_exception_forgets        /* done again as if nothing had been wrong meanwhile */
                               mistaken = true
#else
                               mistaken = false
#endif
                             }
#ifdef MUTANT_not_repeated              /* the exception is all that is left */
          break
#endif
       :: true ->
#ifdef MUTANT_not_looked_at_again
          break
#else
          if
          :: asked == (pending != 0) -> break
          :: asked != (pending != 0) -> mistaken = true
          fi
#endif
       fi
    od;
#ifndef MUTANT_wakes_nobody
    if
    :: mistaken && asked && listed -> called = true
    :: else
    fi;
#endif
    atomic { asked = false; mistaken = false; busy--; assert(busy || armed == (pending != 0)) }
}

proctype Poster() {                     /* code: _registry/registry.Registry.post: "announce(" ; ".todo[todo]" ; "call_waker()" */
    bool asked, mistaken;
    atomic { busy++; pending = pending | TODO }
    set_flag();
    listed = true;
    called = true
}

proctype Other() {                      /* code: _registry/registry.Registry.announce: ".pending[request]" ; "_show()" */
    bool asked, mistaken;
    atomic { busy++; pending = pending | OTHER }
    set_flag();
    atomic { busy++; pending = pending & ~OTHER }   /* code: _registry/registry.Registry.settle: ".pending.pop(" ; "_show()" */
    set_flag()
}

proctype Thread() {
    bool asked, mistaken;
    do
    :: atomic { called -> called = false }
       if
       :: armed && listed -> break      /* a visit finds its todo */
       :: else                          /* the safepoint returns at once */
       fi
    od;
    listed = false;
    atomic { busy++; pending = pending & ~TODO }
    set_flag()
}

init {
    atomic { run Poster(); run Other(); run Thread() }
    _nr_pr == 1;
    assert(!armed && !pending)
}
