"""Tools for one thing that differ in one word: what the request wants done decides which is meant."""

from __future__ import annotations

from random import Random

from llama_nb.demo import copied
from llama_nb.demo.families import Family
from llama_nb.demo.inventions import doing, some_thing, telling

# `verb:other ways to ask for it`; those of one line stand side by side.
_VERBS = tuple(
    tuple((verb, tuple(asked.split(",")) if asked else (verb,)) for verb, _, asked in (one.partition(":") for one in line.split("|")))
    for line in """
turn on:switch on,activate,power up,turn on|turn off:switch off,deactivate,power down,turn off|dim:dim,make darker
enable:enable,activate,allow|disable:disable,deactivate,forbid|reset:reset,set back
open:open,open up|close:close,shut|inspect:inspect,look at,check|paint:paint,colour
lock:lock,lock up|unlock:unlock|clean:clean,wash|repair:repair,fix,mend
add:add,put in,include|remove:remove,take out,drop|list:list,show me,show|count:count,tell me the number of
create:create,make,set up|delete:delete,erase,get rid of|rename:rename,give a new name to|list:list,show,enumerate
start:start,launch,run|stop:stop,halt,end|restart:restart,start over|pause:pause,hold
send:send,send off,mail|read:read,read out|archive:archive,put away|forward:forward,pass on
upload:upload,put online|download:download,fetch,get|share:share,give access to|preview:preview,have a look at
buy:buy,purchase,order|sell:sell,get rid of|rent:rent,hire|return:return,send back
raise:raise,turn up,increase|lower:lower,turn down,decrease|measure:measure,read off
lift:lift,hoist|drop:drop,let fall|rotate:rotate,turn around,spin
push:push|pull:pull|squeeze:squeeze
book:book,reserve|cancel:cancel,call off|postpone:postpone,put off,delay|confirm:confirm
approve:approve,accept,say yes to|reject:reject,decline,say no to|review:review,go through
plot:plot,draw,chart|average:average,take the mean of|sum up:sum up,total,add up|sort:sort,put in order|filter:filter
encrypt:encrypt,encode|decrypt:decrypt,decode|compress:compress,zip|copy:copy,duplicate
load:load,load up|unload:unload|weigh:weigh|ship:ship,send out
fill:fill,top up|empty:empty,drain|heat:heat,warm up|cool:cool,chill
follow:follow|unfollow:unfollow|block:block,ban|report:report
mute:mute,silence|unmute:unmute|record:record,tape|play:play,put on
assign:assign,hand over|close:close,finish|reopen:reopen|comment on:comment on,remark on
install:install,put in|uninstall:uninstall,remove|update:update,upgrade
hide:hide,conceal|show:show,display|resize:resize,change the size of|move:move,shift
lend:lend,loan|borrow:borrow|sell:sell|donate:donate,give away
push:push|merge:merge,combine|split:split,divide|revert:revert,undo
pin:pin|unpin:unpin|print:print|scan:scan|translate:translate|summarize:summarize,sum up
""".strip().splitlines()
)
_PROPERTIES = (
    "height weight age price color capacity temperature owner location population rating version distance duration author "
    "origin salary meaning synonym opposite translation plural spelling currency language mean median maximum minimum "
    "count name type format calories ingredients menu director title date deadline reviews"
).split()


def siblings(rng: Random) -> list[Family]:
    """Two to four families of one thing."""
    wanted = rng.choices((2, 3, 4), (50, 30, 20))[0]
    thing = some_thing(rng)
    if rng.random() < 0.3:
        return [telling(rng, what, thing) for what in rng.sample(_PROPERTIES, wanted)]
    line = rng.choice(_VERBS)
    pairs = rng.sample(line, min(wanted, len(line)))
    return [doing(rng, verb, thing, rng.choice(asked)) for verb, asked in pairs]


def near_miss(rng: Random, family: Family) -> Family:
    """What no tool for this thing does, though the words are alike."""
    thing = family.key.split()[-1]
    known = " ".join((*family.names, *family.descriptions)).lower()
    while True:
        if rng.random() < 0.5:
            verb, asked = rng.choice(rng.choice(_VERBS))
            other = doing(rng, verb, thing, rng.choice(asked))
        else:
            verb = rng.choice(_PROPERTIES) if rng.random() < 0.8 else copied.some(rng, 1)[0]
            other = telling(rng, verb, thing)
        if verb not in known:
            return other
