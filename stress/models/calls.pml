/* What a world asks its parked thread to call, while others hold or stop that thread as well.

   One thread. Freezer A has the hold H, the world W, and the world V, which comes when W has left its
   turn. Freezer B has X. W calls, and is thawed by its owner or, at any moment, by its lease.

   What is shown: while V or X stands the thread makes no call, and runs nothing else. A call is made or
   refused, never both and never neither: W does not wait for it for ever. Everybody is let go. */

/* run "a call of one freezer's worlds" -DWITH_HOLD -DLATE_THAW */
/* run "a call beside another freezer's" -DWITH_OTHER */
/* long "the hold ends at any moment" -DWITH_HOLD */
/* mutant call_of_ended_world -DWITH_HOLD -DLATE_THAW */
/* mutant call_counts_as_standing -DWITH_OTHER */
/* mutant call_in_others_world -DWITH_OTHER */
/* mutant call_is_dropped -DWITH_OTHER */
/* mutant blocked_not_claimed -DWITH_OTHER */
/* mutant not_claimed -DWITH_OTHER */
/* mutant thaw_not_looked_at -DWITH_OTHER */

#include "word.pml"
#define H 0
#define W 1
#define V 2
#define X 3
#define OTHERS (bit(X))                 /* those of another freezer than W's */

int word;
byte awaited;                           /* Freeze.awaited */
bool away;                              /* Record.away */
byte entered;                           /* Parking.entered */
bool rung;                              /* Parking.bell */
bool has_call;                          /* Freeze.calls: the call is there */
bool asked;                             /* Parking.calls: W's call is there */
bool claimed;                           /* Todo._claim */
mtype = {OPEN, MADE, REFUSED};
mtype future = OPEN;                    /* Todo.future */
bool was_made;                          /* the call was begun, as a matter of fact */

bool running = true;                    /* the thread executes the application's code */
bool in_call;                           /* it makes W's call */
bool inside;                            /* it has a stay, or had one and has not noticed its end */
byte stands;                            /* freezes for which all stood, and which are not done */
byte begun, over;
bool is_turn;                           /* W has left its turn: V has it */

/* code: _refrigerator/refrigerator.tell: "in status.freezes" ; ".arrive(" */
inline tell(status) {                   /* the number is used up */
    do
    :: status & bit(0) -> atomic { awaited = awaited & ~bit(0); status = status & ~bit(0) }
    :: !(status & 1) && (status & bit(1)) ->
       atomic { awaited = awaited & ~bit(1); status = status & ~bit(1) }
    :: !(status & 3) && (status & bit(2)) ->
       atomic { awaited = awaited & ~bit(2); status = status & ~bit(2) }
    :: !(status & 7) && (status & bit(3)) ->
       atomic { awaited = awaited & ~bit(3); status = status & ~bit(3) }
    :: !(status & ALL) -> status = 0; break
    od
}

/* Whether W's call may be made: W still holds the thread, and no other freezer does. */
#ifdef MUTANT_call_of_ended_world       /* asks only whether another freezer holds it */
#define MAY_CALL(s) (((s) & STAY) && !((s) & OTHERS))
#else
#ifdef MUTANT_call_in_others_world      /* asks only for its own world */
#define MAY_CALL(s) (((s) & STAY) && ((s) & bit(W)))
#else
#define MAY_CALL(s) (((s) & STAY) && ((s) & bit(W)) && !((s) & OTHERS))
#endif
#endif

inline refuse() {                       /* code: _registry/todos.Todo.refuse: "_claim.acquire(" ; "_fail(" */
#ifdef MUTANT_not_claimed
    if
    :: future == OPEN -> future = REFUSED
    :: else
    fi
#else
    if
    :: atomic { has_call && !claimed -> claimed = true; future = REFUSED }
    :: else
    fi
#endif
}

inline make_calls() {                   /* code: _refrigerator/refrigerator._make_calls: "change(calling" */
    seen = done & word;                 /* code: _registry/status.calling: "settled(" ; ".stay is not stay" ; "Status(" */
    d_step {
        new = SETTLED(word, seen);
        if
        :: MAY_CALL(new) -> new = new | CALLING; word = new
        :: else
        fi;
        seen = 0
    }
    if
    :: new & CALLING ->                 /* code: _refrigerator/refrigerator._make_calls: ".run()" ; "change(answered" ; "_note_stop(" */
       if                               /* code: _registry/todos.Todo.run: "_claim.acquire(" ; "set_result(" */
#ifdef MUTANT_not_claimed               /* it looks whether somebody has refused it, and then begins */
       :: future == OPEN ->
#else
       :: atomic { !claimed -> claimed = true }
#endif
          atomic { was_made = true; in_call = true; assert(!(stands & ~bit(H) & ~bit(W))) }
          atomic { in_call = false; if :: future == OPEN -> future = MADE :: else fi }
       :: else
       fi;
       asked = false;
       seen = done & word;              /* code: _registry/status.answered: "settled(" ; ".stay is not stay" ; "Status(" */
       d_step {
           new = SETTLED(word, seen) & ~CALLING;
           word = new; seen = 0
       }
       if
       :: new & STAY -> tell(new)
       :: else
       fi
    :: else ->                          /* code: _refrigerator/refrigerator._make_calls: "call.refuse(" ; "calls.pop(" */
       if
#ifdef MUTANT_call_is_dropped           /* takes it off the list, and tells nobody */
       :: (new & STAY) && !(done & bit(W)) -> asked = false
#else
       :: (new & STAY) && !(done & bit(W)) -> refuse(); asked = false
#endif
       :: else -> asked = false         /* its thaw refuses it */
       fi
    fi;
    new = 0
}

inline stand() {
    seen = done & word;                 /* code: _refrigerator/refrigerator._stand: ".due(" ; "change(parked" */
    d_step {
        if
        :: LEFT(word, seen) -> new = SETTLED(word, seen) | STAY; word = new; inside = true
        :: else -> new = 0
        fi;
        seen = 0
    }
    tell(new);
    do
    :: atomic { !inside -> rung = false; break }
    :: inside ->
       if                               /* it goes where one of those that hold it will ring */
       :: atomic { LEFT(word, done) & bit(0) -> entered = bit(0) }
       :: atomic { LEFT(word, done) & bit(1) -> entered = bit(1) }
       :: atomic { LEFT(word, done) & bit(2) -> entered = bit(2) }
       :: atomic { LEFT(word, done) & bit(3) -> entered = bit(3) }
       :: !LEFT(word, done)
       fi;
       if                               /* code: _refrigerator/refrigerator._wait_at: ".enter(" ; "not holder.done" ; "not parking.calls" ; "bell.wait(" ; "_make_calls(" */
       :: (word & STAY) && (entered & ~done) && !asked -> atomic { rung -> rung = false }
       :: else
       fi;
       entered = 0;
       if
       :: asked -> make_calls()
       :: else
       fi;
       seen = done & word;
       d_step {
           word = SETTLED(word, seen); seen = 0;
           if :: !(word & STAY) -> inside = false :: else fi
       }
    od
}

proctype Thread() {
    int new; byte seen;
    do
    :: atomic { LEFT(word, done) -> running = false }
       stand();
       atomic { running = true; assert(!stands) }
    :: atomic { !begun -> running = false; away = true }    /* a blocking region, begun before all */
       if
       :: true
       :: true -> over & bit(W)
       fi;
       away = false;
       stand();
       atomic { running = true; assert(!stands) }
    :: over == 15 -> break
    od
}

inline thaw(f) {
    /* code: _controller/controller.Controller._thaw_part: "done = True" ; "complete_all()" */
    atomic { done = done | bit(f); stands = stands & ~bit(f) };
    atomic { rung = rung || (entered & bit(f)) };
    if
    :: f == W ->                        /* code: _controller/controller.Controller._thaw: "_turns.leave(" ; "refuse(" */
       is_turn = true;
       refuse()
    :: else
    fi
}

inline arm(f) {
    atomic { begun = begun | bit(f); awaited = awaited | bit(f) }
    seen = done & word;
    atomic {
        word = SETTLED(word, seen) | bit(f); seen = 0;
#ifdef MUTANT_call_counts_as_standing
        stood = (word & STAY) != 0
#else
        stood = (word & (STAY | CALLING)) == STAY
#endif
    };
    if
    :: stood || away -> awaited = awaited & ~bit(f)
    :: else
    fi;
    stood = false
}

inline wait_until_it_stands(f) {
    atomic {
        !(awaited & bit(f)) || (done & bit(f));
        if
        :: !(done & bit(f)) -> stands = stands | bit(f); assert(!running && !in_call)
        :: else
        fi
    }
}

proctype Holder() {                     /* H, from when it stands */
    byte seen;
#ifdef LATE_THAW
    over & bit(V);
#endif
    thaw(H);
    over = over | bit(H)
}

proctype Controller(byte f) {           /* V or X */
    byte seen; bool stood;
    f != V || is_turn;
    arm(f);
    wait_until_it_stands(f);
    thaw(f);
    over = over | bit(f)
}

proctype Caller() {                     /* W */
    byte seen; bool stood;
    arm(W);
    wait_until_it_stands(W);
    /* code: _controller/world.World.call: "freeze.calls" ; "calls[call]" ; "_can_be_called(" ; "refuse(" ; "bell.ring()" ; "future.result()" */
    has_call = true;
    asked = true;
    if
    :: away && !(word & STAY) ->        /* ThreadBlocked, unless it has begun by now */
#ifdef MUTANT_blocked_not_claimed       /* takes it off the thread's list, and believes that it was in time */
       atomic { if :: asked -> asked = false; future = REFUSED :: else fi }
#else
       refuse()
#endif
    :: else
    fi;
#ifndef MUTANT_thaw_not_looked_at
    if
    :: done & bit(W) -> refuse()
    :: else
    fi;
#endif
    rung = true;
    future != OPEN;
    assert((future == REFUSED) == !was_made);
    thaw(W);
    over = over | bit(W)
}

proctype Lease() {
    byte seen;
    if
    :: true -> over & bit(W)            /* it does not run out */
    :: true -> (stands | over) & bit(W); thaw(W)
    fi
}

init {
    atomic {
        over = 15 & ~bit(W);
        run Thread(); run Lease(); run Caller();
#ifdef WITH_HOLD
        over = over & ~bit(H) & ~bit(V); begun = bit(H); stands = bit(H);   /* H stands from the start */
        word = bit(H) | STAY; running = false; inside = true;
        run Holder(); run Controller(V);
#endif
#ifdef WITH_OTHER
        over = over & ~bit(X); run Controller(X)
#endif
    }
    _nr_pr == 1;
    assert((future == REFUSED) == !was_made)
}
