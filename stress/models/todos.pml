/* A thread's todo list: two posters, the thread's visits and waits, and its exit.

   The thread makes what it finds at a safepoint, or when its freezable wait ends. Such a wait may be a long
   one: then nothing but a ring ends it before both posters have their answers. The thread may exit at any
   time.

   What is shown: each todo is made once or refused, never both and never neither. Whoever was told that his
   todo is certain gets an answer. A wait is woken by a todo. */

/* run "once or refused, and waits are woken" */

#define POSTERS 2
#define bit(f) (1 << (f))

byte list;                              /* Record.todo */
bool away, rung;                        /* Parking.away, and the bell of that place */
bool exited;                            /* Record.exited */
byte claimed;                           /* Todo._claim of each */
byte made, failed;                      /* Todo.future of each */
byte answered;                          /* posters that need no more answer */

inline make() {                         /* code: _refrigerator/refrigerator.make: "todo.run()" ; ".todo.pop(" */
    if                                  /* code: _registry/todos.Todo.run: "_claim.acquire(" */
    :: atomic { !(claimed & one) -> claimed = claimed | one; made = made | one; assert(!(failed & one)) }
    :: else
    fi;
    atomic { list = list & ~one; one = 0 }
}

inline make_todos() {                   /* code: _refrigerator/waits.Waiting._make_todos: "pending_todos(" ; "make," */
    found = list;
    do
    :: found & bit(0) -> atomic { found = found & ~bit(0); one = bit(0) }; make()
    :: found == bit(1) -> atomic { found = 0; one = bit(1) }; make()
    :: !found -> break
    od
}

inline refuse(one_) {                   /* code: _registry/registry.Registry._refuse: ".todo.pop(" ; "todo.refuse(" */
    if
    :: atomic { list & one_ -> list = list & ~one_ }
       if                               /* code: _registry/todos.Todo.refuse: "_claim.acquire(" ; "_fail(" */
       :: atomic { !(claimed & one_) -> claimed = claimed | one_; failed = failed | one_ }
       :: else
       fi
    :: else
    fi
}

proctype Thread() {
    byte found, one; bool visits = true;
    do
    :: visits ->
       make_todos();                    /* a safepoint */
       visits = false
    :: true ->                          /* code: _refrigerator/waits.Waiter.sleep: "_go_away()" ; "_is_asked()" ; "bell.wait(" ; "_come_back()" */
#ifdef MUTANT_wait_looks_first
       found = list; away = true;
#else
       away = true;
       found = list;
#endif
       if
       :: found -> found = 0
       :: !found -> (rung || answered == 3); rung = false
       fi;
       away = false;
       make_todos()
    :: answered == 3 -> break
    :: true -> break
    od;
    visits = false;
#ifndef MUTANT_exited_last
    exited = true;                      /* code: _registry/registry.Registry.note_exit: "exited = True" ; "_refuse_all(" */
#endif
    found = list;                       /* code: _registry/registry.Registry._refuse_all: "list(" ; "_refuse(" */
    do
    :: found & bit(0) -> found = found & ~bit(0); refuse(bit(0))
    :: found == bit(1) -> found = 0; refuse(bit(1))
    :: !found -> break
    od;
#ifdef MUTANT_exited_last
    exited = true
#endif
}

proctype Poster(byte me) {              /* code: _registry/registry.Registry.post: ".todo[todo]" ; ".exited" ; ".todo.pop(" ; "rouse()" */
#ifdef MUTANT_post_looks_first
    if
    :: exited -> answered = answered | bit(me); goto over
    :: else
    fi;
    list = list | bit(me);
#else
    list = list | bit(me);
    if
#ifdef MUTANT_refused_without_taking    /* says that it was refused, whether the thread has it or not */
    :: exited ->
       list = list & ~bit(me);
#else
    :: exited && (list & bit(me)) ->    /* it was in the list when that was looked at, and is taken off in one step */
       if
       :: atomic { list & bit(me) -> list = list & ~bit(me) }
       :: else -> goto wait
       fi;
#endif
       atomic { assert(!(made & bit(me))); failed = failed | bit(me); claimed = claimed | bit(me) };
       answered = answered | bit(me);
       goto over
    :: else
    fi;
#endif
wait:
#ifndef MUTANT_nobody_rings
    if                                  /* code: _registry/record.Record.rouse: "parking.away" ; ".ring()" */
    :: away -> rung = true
    :: else
    fi;
#endif
    (made | failed) & bit(me);
    answered = answered | bit(me);
over:
    skip
}

init {
    atomic { run Thread(); run Poster(0); run Poster(1) }
    _nr_pr == 1;
    assert(!(made & failed))
}
