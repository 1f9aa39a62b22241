/* The word of a thread, as freezethreads/_registry/status.py has it: what the models of the freezer share.

   A status is one number. The low bits are the freezes on the thread's list. Above them is STAY: the
   thread stands in the refrigerator. CALLING: it makes a world's call meanwhile. Above these are the
   freezes that the thread commands. A thread makes a new stay each time, and nobody else sets one. So
   "the stay is mine" is "STAY is set", wherever the thread itself looks. */

#define bit(f)         (1 << (f))
#define ALL            15               /* as many freezes as a model may have */
#define STAY           16
#define CALLING        32
#define COMMANDS(f)    (bit(f) << 8)

byte done;                              /* Freeze.done of each freeze: its thaw has begun */

/* code: _registry/status.settled: "not freeze.done" */
/* code: _registry/status._with: "is_held_by" ; "stay = None" */
/* What is done is dropped. The stay ends with the last freeze that held it. */
#define LEFT(s, d)     ((s) & ALL & ~(d))
#define SETTLED(s, d)  (LEFT(s, d) | ((s) & ~ALL & (LEFT(s, d) -> ~0 : ~(STAY | CALLING)) & ~((d) << 8)))

/* code: _registry/status.Word.change: "self._last" ; "step(old" ; "setdefault(0, link)" */
/* A compare-and-swap, by a process with the locals `seen` and `new`. First it finds out which freezes
   are done. Then it makes a new status out of the word, and puts it there, in one step: had the word
   changed in between, the code would have begun again. Others may do anything between the two steps.
   So a freeze that it takes for pending may be done by then. */
#define change(word, NEW) seen = done & word; d_step { new = NEW; word = new; seen = 0 }
