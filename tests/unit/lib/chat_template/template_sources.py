# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""The templates that make_template_cases.py records. Each line of TEMPLATES is a template over CONTEXT; EXPRESSIONS become
{{ expression }}. With their errors: what Python refuses is recorded too."""

CONTEXT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <b>there</b> & 'you'"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"function": {"name": "get", "arguments": {"city": "Zürich", "days": 3, "ok": True, "x": None}}}]},
        {"role": "tool", "content": "sunny"},
    ],
    "s": "  Hello World \n", "u": "Straße ΟΔΟΣ ǆ ﬁ 東京 🤗", "n": 7, "neg": -3, "f": 2.5, "big": 12345678901234567890, "t": True,
    "z": None, "l": [3, 1, 2], "names": ["bob", "Alice", "carol"], "d": {"b": 1, "a": 2, "C": 3}, "e": [], "ed": {},
    "nested": [[1, [2, 3]], {"k": [True, None, 1.5]}], "users": [
        {"name": "x", "age": 3, "tags": ["p"]}, {"name": "Y", "age": 1, "tags": []}, {"name": "z", "age": 3, "tags": ["q", "r"]}],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}],
}

EXPRESSIONS = r"""
1 + 2 * 3 ** 2
2 ** 3 ** 2
-2 ** 2
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3, 7.5 % 2, -7.5 % 2, 7.5 // -2
1 / 2, 4 / 2, 2 ** -1, 2 ** 0.5
10 ** 20, 2 ** 100
1e3, 1.5e-7, 1e16, 123456789012345.0, 0.1 + 0.2, 1e22, 1e100, 3.0, -0.0
0x1F, 0b101, 0o17, 1_000_000
true + true, true * 3, 1 == true, 1 == 1.0, '1' == 1
1 < 2 < 3, 1 < 3 < 2, 1 < 2 > 0
'a' < 'b', 'B' < 'a', [1, 2] < [1, 3], (1,) < (1, 0)
1 < 'a'
n is divisibleby 7, n is odd, n is even
1 if false
(1 if false) is defined
'x' ~ 1 ~ none ~ 1.0 ~ [1] ~ {'a': 1}
'a' * 3, 3 * 'ab', [1] * 2, (1, 2) * 2, 'a' * -1
'a' + 1
1 + 'a'
[1] + (2,)
[1] + [2], (1,) + (2,)
none + 1
{} + {}
'%s and %d' % ('a', 3.7)
'%5d|%-5d|%05d|%+d|% d' % (1, 2, 3, 4, 5)
'%x %X %o %#x %e %.2f %g %g %r %c %%' % (255, 255, 8, 255, 12345.678, 3.14159, 0.0001, 1e10, 'q', 'z')
'%(a)s-%(b)05.1f' % {'a': 1, 'b': 2.25}
'%s' % [1, 2]
'%s %s' % ('a',)
'%s' % ('a', 'b')
'%d' % 'a'
'%10.3s|' % 'abcdef'
'%*d' % (5, 42)
'{} {}'.format(1, 'a'), '{1} {0}'.format(1, 2), '{a} {b!r}'.format(a=1, b='q')
'{:>5}|{:<5}|{:^5}|{:*^7}|{:05d}|{:+d}|{:,}|{:x}|{:#x}|{:b}'.format(1, 2, 3, 'mid', 42, 5, 1234567, 255, 255, 5)
'{:.2f}|{:8.3f}|{:e}|{:g}|{:%}|{:.1%}|{:10.4}|{}'.format(3.14159, 2.5, 12345.678, 0.00001, 0.25, 0.256, 3.14159265, 1.0)
'{0[a]} {0[b][0]}'.format({'a': 1, 'b': [2]})
'{:{}}|'.format('a', 5)
'{{}} {}'.format(1)
'{'.format(1)
'{0.__class__}'.format(1)
'{0.real}'.format(3)
'{:s}'.format(3)
'{:_}|{:,.2f}|{:>+8.1f}|{:=+6d}'.format(1234567, 1234567.891, 3.14, 42)
'{!s:>4}|{!r:>4}'.format(1, 'a')
'{:.3}|{:5}|{:<5}|'.format('abcdef', 'ab', 3)
'{a[0]} {a[-1]}'.format(a=[1,2])
s.strip(), s.lstrip(), s.rstrip(), 'xxaxx'.strip('x'), 'abc'.strip('ca')
s.upper(), s.lower(), s.title(), s.swapcase(), s.capitalize()
u.upper(), u.lower(), u.title(), u.casefold(), u.capitalize(), u.swapcase()
u | upper, u | lower, u | title, u | capitalize, u | length
u[0], u[-1], u[4], u[-3:], u[::-1], u[::2], u[100:], u[7]
u[100]
u[100] is defined
'abc'[1], 'abc'[-1], 'abc'[:2], 'abc'[1:], 'abc'[::-1], 'abc'[5:], 'abc'[-2:-1], 'abc'[2:0:-1]
'abc'['a']
l[0], l[-1], l[1:], l[::-1], l[5:], (1, 2, 3)[:2], l[-100:100]
l[5]
l[none:2], l[true]
l['a']
'a,b,,c'.split(','), 'a b  c '.split(), 'a,b,c'.split(',', 1), 'a,b,c'.rsplit(',', 1), ' a b c '.rsplit(none, 1), ' a  b '.split(none, 1)
''.split(), ''.split(','), 'abc'.split('')
'a\nb\r\nc\x0bd'.splitlines(), 'a\nb\n'.splitlines(true)
'abc'.partition('b'), 'abcb'.rpartition('b'), 'abc'.partition('x'), 'abc'.rpartition('x')
'abcabc'.find('c'), 'abcabc'.rfind('c'), 'abcabc'.find('x'), 'abcabc'.index('b', 2), 'abc'.count(''), 'aaaa'.count('aa'), 'abc'.find('', 5), 'abc'.find('c', -1)
'abc'.index('x')
'abc'.startswith('ab'), 'abc'.startswith(('x', 'a')), 'abc'.endswith('bc'), 'abc'.startswith('b', 1), 'abc'.endswith('b', 0, 2)
'abc'.startswith(1)
'abcabc'.replace('b', 'X'), 'abcabc'.replace('b', 'X', 1), 'abc'.replace('', '-'), ''.replace('', 'x'), 'aaa'.replace('a', 'b', 0)
'abc'.removeprefix('a'), 'abc'.removesuffix('c'), 'abc'.removeprefix('x')
'-'.join(['a', 'b']), '-'.join('abc'), ''.join([])
'-'.join([1])
'a'.center(5), 'ab'.center(5), 'abc'.center(6, '*'), 'a'.ljust(3, '.'), 'a'.rjust(3), '-5'.zfill(4), 'a'.center(4) ~ '|'
'a\tb'.expandtabs(), 'ab\tc'.expandtabs(4)
'abc'.isalpha(), 'ab1'.isalnum(), '12'.isdigit(), '½'.isnumeric(), '²'.isdigit(), '²'.isdecimal(), ' '.isspace(), ''.isalpha(), 'Abc'.istitle(), 'a_b'.isidentifier(), 'ABC'.isupper(), 'a1'.islower(), '1'.islower(), 'é'.isascii(), 'a\n'.isprintable()
'abc'.foo
'abc'.foo()
'abc'.upper
'abc'.__class__
'abc'.__class__.__mro__
''.__class__ is defined
{}.__class__
d._x, d.__len__
l.append
l.append(1)
d.update({'x': 1})
d.pop('a')
l.index(1), l.count(3), (1, 1).count(1), (1, 2).index(2)
l.index(99)
d.get('a'), d.get('q'), d.get('q', 5), d.items() | list, d.keys() | list, d.values() | list, d.items()
d.keys(), d.values()
d.copy()
d.a, d['a'], d.items, d.missing is defined
d.missing.more
d.missing
d['missing']['x']
d.get
missing
missing.attr
missing['a']
missing()
missing + 1
1 + missing
missing ~ 'x'
missing == other_missing, missing != 1, missing == none
missing | length, missing | list, missing is iterable, missing is sequence, missing is string
missing | int
missing | default('d'), '' | default('d'), '' | default('d', true), none | default('d'), false | d('x', boolean=true)
missing < 1
-missing
'a' in missing, missing in [1]
missing in 'abc'
not missing, missing or 'x', missing and 'x'
'%s' % missing
n, neg, f, big, t, z, l, names, d, e, ed, nested
[1, 2.0, 'a', none, true, [1], (1,), {}, {'a': 'b'}, missing]
'it\'s', ['it\'s'], ["it's \"q\""], ['a\nb\t\\'], ['\x00\x7f é 🤗']
['\u200b', '\xa0', '\ue000']
(1,), (), (1, 2), ((1, 2), 3)
{1: 'a', 'b': 2, none: 3, true: 4, 1.5: 5, (1, 2): 6}
{1: 'a', true: 'b', 1.0: 'c'}
{[1]: 2}
{'a': 1}['a'], {'a': {'b': 2}}.a.b
{'a': 1} == {'a': 1.0}, [1, 2] == [1, 2], [1] == (1,), {'a': 1, 'b': 2} == {'b': 2, 'a': 1}
1 in l, 9 in l, 'a' in d, 'el' in s, 1 in (1, 2), 1 not in l, [1] in [[1]], 2.0 in l
1 in 'abc'
1 in 5
[1] in d
l | sort, l | sort(reverse=true), names | sort, names | sort(case_sensitive=true), users | sort(attribute='age') | map(attribute='name') | list
users | sort(attribute='age,name') | map(attribute='name') | list, users | sort(attribute='age', reverse=true) | map(attribute='name') | list
[1, 'a'] | sort
[none, 1] | sort
l | first, l | last, e | first, 'abc' | first, 'abc' | last, d | first
e | first is defined
l | min, l | max, names | min, names | max(case_sensitive=true), users | max(attribute='age'), e | max
l | sum, users | sum(attribute='age'), e | sum, [[1], [2]] | sum(start=[]), [1.5, 2] | sum
['a'] | sum
l | join, l | join('-'), users | join(', ', attribute='name'), 'abc' | join('.'), none | join
l | length, s | length, d | length, d | count
5 | length
none | length
l | reverse | list, 'abc' | reverse, l | reverse, d | reverse | list
names | map('upper') | list, names | map('length') | list, users | map(attribute='tags') | list, users | map(attribute='tags.0') | list, users | map(attribute='tags.0', default='-') | list
names | map('replace', 'b', 'X') | list, names | map('nofilter') | list
l | map | list
l | map('string') | join
l | select('odd') | list, l | reject('odd') | list, [0, 1, '', 'a'] | select | list, l | select('greaterthan', 1) | list, l | select('in', [1, 2]) | list
users | selectattr('tags') | map(attribute='name') | list, users | rejectattr('age', 'equalto', 3) | map(attribute='name') | list, users | selectattr('name', 'in', ['x', 'z']) | list | length
users | selectattr('age', 'notest') | list
users | groupby('age')
users | groupby('age') | map(attribute='grouper') | list, (users | groupby('age'))[0].list | length, users | groupby('name') | map('first') | list
[1, 2, 1, 3, 2] | unique | list, ['a', 'A', 'b'] | unique | list, ['a', 'A'] | unique(case_sensitive=true) | list, users | unique(attribute='age') | map(attribute='name') | list
l | batch(2) | list, l | batch(2, 'x') | list, range(7) | slice(3) | list, range(7) | slice(3, 'x') | list
d | dictsort, d | dictsort(true), d | dictsort(false, 'value', true), d | dictsort(by='value')
d | items | list, missing | items | list
l | items | list
d | list, 'abc' | list, range(3) | list
5 | list
'a b-c (d' | title, "it's" | title, 'hello world' | capitalize, 'ABC' | capitalize
s | trim, 'xxaxx' | trim('x'), 5 | trim
'a b c' | replace(' ', ''), 'aaa' | replace('a', 'b', 2), 5 | replace('5', '6')
'a\nb\n\nc' | indent, 'a\nb\n\nc' | indent(2, true), 'a\n\nb' | indent(2, blank=true), 'a\nb' | indent('> '), 'a\nb' | indent(first=true)
5 | indent
'a' | center(5) ~ '|', 'Hello' | center | length
'%s-%s' | format(1, 2), '%(a)s' | format(a=1)
'foo bar baz qux' | truncate(9), 'foo bar baz qux' | truncate(9, true), 'foo bar baz qux' | truncate(11), 'foo bar baz qux' | truncate(11, false, '...', 0)
'one two, three' | wordcount
'3' | int, '3.7' | int, 'x' | int, 'x' | int(5), '0x1f' | int(base=16), '101' | int(0, 2), 3.9 | int, -3.9 | int, none | int, [] | int, ' 12 ' | int, '1_000' | int, '1e3' | int
'3.5' | float, 'x' | float, 'x' | float(1.0), 3 | float, '1e3' | float, 'inf' | float, '-nan' | float, none | float
3.7 | round, 2.5 | round, 3.14159 | round(2), 3.2 | round(method='ceil'), 3.7 | round(method='floor'), 5 | round, 1234.5 | round(-2), 2.675 | round(2), 15 | round(-1)
-3 | abs, -3.5 | abs, true | abs
'a' | abs
-3|abs
1 | string + 'a', [1] | string, none | string
'<b>&"\'' | escape, '<b>' | e, '<b>' | safe, ('<b>' | safe) + '<i>', ['<' | e], '<i>' ~ ('<b>' | safe), '&lt;' | safe | e, '<' | e | e, '<' | e | forceescape
'<p>a <b>b</b>\n c</p>&amp;' | striptags
'a b/ü?&' | urlencode, {'a': 'b c', 'd': '/'} | urlencode
{'class': 'x"y', 'id': none, 'n': 1} | xmlattr
1 | filesizeformat, 1000 | filesizeformat, 1500000 | filesizeformat, 1024 | filesizeformat(true), 300 | filesizeformat, 1e15 | filesizeformat
users[0] | attr('name') is defined, 'abc' | attr('upper') is defined
d | tojson, l | tojson, u | tojson, u | tojson(ensure_ascii=true), none | tojson, true | tojson, 1.0 | tojson, 1e20 | tojson, big | tojson
nested | tojson(indent=2), e | tojson(indent=2), ed | tojson(indent=4), [[]] | tojson(indent=1)
d | tojson(sort_keys=true), d | tojson(separators=(',', ':')), d | tojson(indent='--'), d | tojson(indent=0)
messages | tojson
{1: 2, none: 3, true: 4, 1.5: 5} | tojson
{(1, 2): 3} | tojson
[missing] | tojson
range(3) | tojson
(1, 2) | tojson
'"\\/\b\f\n\r\t\x01\x7f<>&\'' | tojson
l | tojson(2)
('a' | safe) | tojson
range(3), range(1, 5), range(5, 0, -2), range(3) | list, range(0), range(3)[1], range(3)[-1], 2 in range(3), range(10) | length
range(200000)
range(1, 2, 0)
range('a')
dict(a=1, b=2), dict({'x': 1}, y=2), dict([('a', 1)])
namespace(a=1), namespace({'b': 2}).b, namespace()
namespace(a=1).b
namespace(a=1)['a']
joiner(', ')() ~ 'x'
n is number, n is integer, f is float, t is boolean, t is integer, t is number, s is string, l is sequence, d is mapping, d is sequence, d is iterable, l is iterable, n is iterable, z is none, z is defined
'abc' is lower, 'ABC' is upper, 'a' is sameas 'a', none is sameas none, 5 is callable, range is callable, 'abc'.upper is callable
1 is eq 1, 1 is ne 2, 1 is lt 2, 2 is gt(1), 2 is ge 2, 2 is le 1, 'a' is in 'abc', 'a' is in ['b'], 1 is equalto 1, 3 is lessthan 4, 4 is greaterthan 3
'upper' is filter, 'nope' is filter, 'odd' is test, 'nope' is test
1 is not none, 1 is not odd, not 1 is odd
n is nosuchtest
n | nosuchfilter
'x' if n is string else 'y'
'a' if n > 5 else 'b' if n > 3 else 'c'
(n | nosuchfilter) if false else 'ok'
messages[0].role, messages[0]['content'], messages[-1].role, messages[1:] | map(attribute='role') | join(','), messages[2].tool_calls[0].function.arguments.city
messages[2].content is none, messages[2].content is string, messages[9] is defined
messages[9].role
messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | first
messages | map(attribute='content') | select('string') | list
nested.0.1.0, nested[1].k[2]
strftime_now('%d %b %Y'), strftime_now('%Y-%m-%d %H:%M:%S %A %j %-d'), strftime_now('%f|%z|')
raise_exception('no ' ~ n)
loop
caller is defined
varargs is defined
3.real, 3 .imag
n.real, f.is_integer(), 2.0.is_integer(), n.bit_length()
(1).__class__
'a' 'b' 'c' ~ "d"
'\u00e9\x41\101\n\q\
end \N{BULLET}'
[1, 2,], (1, 2,), {'a': 1,}
d | length > 2 and n > 3 or false
not n > 3, not (n > 3), not not n
- n, + n, -n + 1, - - n
l | length + 1, 'a' ~ l | length
l[1:] + [9], (l | sort)[0], [l | first, l | last]
1 + 1 if true else 2
'a' is string and 'b'
[[1, 2], [3]] | map('first') | list, [[1, 2], [3]] | map('join', '-') | list, [1, 2] | map('string') | map('length') | list
l | select('odd') | select('greaterthan', 2) | list
l | map('abs')
(l | map('abs'))[0]
l | map('abs') | length
d.items() | map('first') | join, d.items() | map('last') | sum
d | dictsort | map('join', '=') | join('&')
'abc' | batch(2) | map('join') | list
lipsum is callable, cycler('a', 'b').next()
'a'.join
1.foo
n.foo
n['a']
none.foo
none['a']
none()
5()
'a'()
[1](0)
upper
1 ~ 2 * 3 ~ 4 + 5
2 * 3 ~ 4
(2 ~ 3) | int + 1
1 <= n <= 10, 'a' <= 'b' != 'c'
1 == 1 == true
n in l or n not in l
1 in [1] == true
'x' * 2 ~ 'y'
'abc' | upper | lower | title | replace('A', 'b')
10 % 3 * 2, 2 * 10 % 3, 10 - 5 - 2, 100 / 10 / 2, 7 // 2 // 2
range(5)[1:3], range(10)[::2] | list
'abc'[-5:2], 'abc'[::-2], ''[0:1], [1,2,3][-2::-1]
(1,2,3)[::-1], (1,) + (2,), () + ()
1_0.5, 1e-5, 12345678901234567.0, 1e15, 123456.789e3
5 // 0.3, -5 // 0.3, 5 % 0.3, 0.0 // 1, -1 // 3.0
"%.3g|%.10g|%g|%G|%e" % (1234567.0, 0.1, 1e-5, 1e-10, 0)
"%5s|%-5s|%.1s" % ('ab', 'cd', 'ef')
"%i %u" % (3, 4), "%+.1f" % 2.25, "%05.1f" % -2.5, "% 5d" % 3
"%s" % none, "%s" % {'a':1}, "%r" % 'x', "%%" % ()
"%d%%" % 5
"{:d}".format(true), "{}".format(true), "{:5}|{:>5}".format(true, none if false else 'n')
"{:.0f} {:.0f} {:.0f}".format(0.5, 1.5, 2.5)
"{:,}".format(1234.5), "{:010.2f}".format(3.14159), "{:^+9.2f}|".format(3.14159)
"{:<08d}|{:^08d}|{:>08d}".format(5, 5, 5)
"{:c}{:o}{:X}{:#o}{:#b}".format(65, 8, 255, 8, 5)
"{:g} {:g} {:g} {:.3g}".format(100000.0, 1000000.0, 1e-5, 1234.5)
"{:%Y}".format(5)
"{a.b}".format(a={'b': 1})
"{0[b]}".format({'b': 1}), "{!r}".format('a'), "{!s}".format(1)
{'a': 1, **{}} 
[1, 2] == (1, 2) | list
'A' < 'a' < 'b', 'é' > 'z', [] < [0], (1, 'a') < (1, 'b')
none == none, none != 0, none < 1
true < 2, true == 1, false in [0], 1.0 in [1]
'x' in ['xy'], '' in '', 'ab' in 'cab'
[3, 1.5, true] | sort, [[2], [1, 5]] | sort, ['b', 'A', 'a'] | sort
{'b': 1, 'a': 2} | dictsort | first, {'x': {'y': 1}} | items | list
'a,b;c'.split(';'), ' x '.split(), 'x'.rsplit('x'), 'aXbXc'.rsplit('X', 1)
'hello'.find('l', 3), 'hello'.rfind('l', 0, 3), 'hello'.count('l', 3), 'hello'.index('')
'%' | urlencode, 'é' | urlencode, {'a': [1]} | urlencode
'hello world foo' | truncate(11, true, '>', 0), 'abc' | truncate(3), 'abcdefghij' | truncate(5, false, '…', 0)
'<a href="x">y</a>' | striptags, 'a &amp; b' | striptags
'x' | indent(width=2, first=true), '' | indent, '\n\na' | indent(2), 'a\n\n' | indent(2, blank=true) ~ '|'
[1,2,3] | batch(2, none) | list, [] | batch(2) | list, [1,2,3,4,5] | slice(2) | list
[1,[2,[3]]] | string, 'x' | list, {'a': 1} | list, (1,2) | list
-5 | abs, 5.5 | int, '5.9' | int, 'ff' | int(0, 16), '0b11' | int(0, 0), '0o7' | int(base=8), '' | int
1.15 | round(1), 1.25 | round(1), 0.5 | round, 1e20 | round, -0.4 | round, 2.5 | round(0, 'floor'), 123.456 | round(-1)
'a' if none else 'b', 'a' if [] else 'b', 'a' if 0.0 else 'b', 'a' if ' ' else 'b', 'a' if range(0) else 'b'
'aé'.center(7, '*'), 'é' | center(5) ~ '|', 'é'.ljust(3) ~ '|'
users | map(attribute='name') | sort | join, users | map(attribute='age') | unique | list
users | selectattr('age', 'gt', 2) | map(attribute='name') | list, users | rejectattr('tags') | list | length
users | groupby('age') | map('last') | map('length') | list
users | sum('age'), users | sum(attribute='age', start=10), [] | sum(start=5)
l | map('string') | map('int') | sum, l | map('round', 1) | list
names | map('truncate', 3) | list
d | items | map('join', ':') | join(' ')
nested | string | length, nested | tojson | length
messages | selectattr('tool_calls', 'defined') | list | length, messages | selectattr('content', 'none') | list | length
messages | map(attribute='tool_calls', default=[]) | map('length') | list
(messages | last).content, (messages | first)['role'], messages[::-1][0].role
'\x41\u0042\U00000043\103'
"\t" ~ '\\n' ~ "\\"
'abc'.translate
'abc'.zfill(5), '+1'.zfill(4), '-a'.zfill(4)
'ABC'.isupper(), 'A1'.isupper(), '١'.isdigit(), '١' | int, 'ª'.isalpha(), '_'.isidentifier(), '1a'.isidentifier()
'ß'.upper(), 'ŉ'.upper(), 'İ'.lower(), 'ǆ'.title(), 'ﬃ'.title(), 'ΑΣ'.lower(), 'ΑΣ Σ'.lower()
"o'neil mc-donald" | title, "o'neil mc-donald".title()
'a\x85b\u2028c'.splitlines(), 'a\x1cb'.split(), '\u3000a\u3000'.strip(), '\u200ba'.strip()
['\x1b', '\u0301', '\u2028', '\ufeff', '\U0001f600', '\U000e0001']
'\u2028\x7f' | tojson, '\x7fé' | tojson(ensure_ascii=true)
{'é': 1} | tojson, {'b': [1, {'c': none}], 'a': {}} | tojson(indent=2, sort_keys=true)
{'a': 1e400} | tojson, (1e400 - 1e400) | tojson, 1e-7 | tojson
x.y is defined
(x.y).z is defined
x is defined and x.y is defined
messages[0].foo is defined, messages[0].foo.bar is defined
d.a.b is defined, d.a.b.c
loop is defined, range is defined, namespace is defined
1 is integer, 1.0 is integer, true is integer, 1 is float, '1' is number, true is boolean
d is sameas d, l is sameas l, [] is sameas []
'a' is not string, 5 is not in [1, 2], 5 is in(range(6))
3 is divisibleby(0)
joiner is callable, missing is callable, 'a'.upper is callable
dict(a=1).a, dict(d, z=1) | length, dict(none)
namespace(x=1).x, namespace(none)
cycler().next()
cycler(1, 2).current, cycler(1,2) is callable
('<' | e) + '&', 'x<' + ('y' | safe), ('%s' | safe) % '<', ('a' | e) * 2, ('<' | e).upper(), ('<' | e) | length
n.bit_length(), (255).bit_length(), 2.5.is_integer(), 1.numerator
big + 1, big * big, -big, big // 3, big % 10, big / 2
2 ** 63, 2 ** 64 - 1, -2 ** 63, 10 ** 30
"a" "b".upper()
[1, 2, 3].index(2), (1, 2).index(2), [1].count(1), [[1]].count([1])
[x for x in l]
l.copy(), l.reverse()
lambda
{1, 2}
f"x"
a if b
not
1 and
()
(1, )
[,]
{,}
{'a'}
a.1b
'a'['upper']()
d['items']() | list
messages[0]['get']('role')
l['index'](1)
''.join(messages | map(attribute='role'))
messages | map(attribute='role') | map('upper') | join(' > ')
messages | length > 3 and messages[-1].role == 'tool'
"abc" | reverse | upper, l | reverse | first, l | sort | reverse | list
l | first + l | last
n | string | length | string ~ 'x'
not n is odd, n is not odd or true
n is odd and n is not even
n in [7] and n not in [8]
-n ** 2, (-n) ** 2, 2 ** -n
n if n is defined else 0
(n, l)[1][0], [n, l][-1] | length
s | trim | length, s.strip() | lower | replace(' ', '_')
'%s: %s' | format('a', 1), '%(x)s' | format(x=5), 'a' | format
""" .strip("\n")

TEMPLATES = [
    "a{# c #}b{#- c -#} d", "  {# c #}\nx", "{# a\nb #}\n\nx", "  {#- c #}  x", "x {#+ c +#}\ny",
    "{% if n %}\n  a\n{% endif %}\nb", "  {% if n %}\n  a\n  {% endif %}\nb", "  {%- if n -%}\n  a\n  {%- endif -%}\nb",
    "  {%+ if n %}\n  a\n  {% endif +%}\nb", "x {% if n %}y{% endif %}\n\n\nz", "{{ n }}\n{{ n }}\n", "{{- n -}} \n {{ n -}}\n x",
    "  {{ n }}\n  {% set a = 1 %}\n  {{ a }}", "a\r\nb\rc\n", "{% raw %}{{ x }}{% y %}{% endraw %}", "a  {%- raw -%}  {{ x }}  {%- endraw -%}  b",
    "{% raw %}\n  {{ x }}\n  {% endraw %}\nb", "\n\n{% if n %}\n\nx\n\n{% endif %}\n\n", "\t {% set a = 1 %}\t\nx", "{%if n%}a{%endif%}",
    "{% if n == 1 %}1{% elif n == 7 %}7{% else %}?{% endif %}", "{% if e %}x{% elif d.missing %}y{% endif %}z",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}", "{% for x in l %}{{ loop }}{% endfor %}", "{% for x in e %}a{% else %}none{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}no{% endfor %}", "{% for x in l if x > 9 %}a{% else %}no{% endfor %}",
    "{% for a, b in d.items() %}{{ a }}={{ b }},{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in 'añ🤗' %}[{{ c }}]{% endfor %}",
    "{% for x in missing %}a{% else %}none{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "{% for a, b in [1] %}{% endfor %}", "{% for (a, b), c in [[[1, 2], 3]] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}",
    "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% for i in tree recursive %}{{ i.v }}({{ loop.depth }}){% if i.c %}[{{ loop(i.c) }}]{% endif %}{% endfor %}", "{% for i in tree %}{{ loop(i.c) }}{% endfor %}",
    "{% set x = 0 %}{% for i in l %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set (a, b) = [1, 2] %}{{ a + b }}",
    "{% set a, b = [1] %}", "{% set a %}x{{ n }}y{% endset %}{{ a }}{{ a | length }}", "{% set a | upper %}x{{ n }}y{% endset %}{{ a }}", "{% set a | replace('x', 'z') | upper %}xy{% endset %}{{ a }}",
    "{% set a %}{% set b = 1 %}{% endset %}{{ b is defined }}", "{% set n.x = 1 %}", "{% set q.x = 1 %}", "{% set d.x = 1 %}", "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}",
    "{% set ns = namespace() %}{% set ns.a %}hi{% endset %}{{ ns.a }}", "{% set loop = 1 %}{{ loop }}", "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% with %}{% set q = 1 %}{% endwith %}{{ q is defined }}",
    "{% with a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}{% endwith %}",
    "{% macro m(a, b=2, c='x' ~ b) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(1, c=9) }}|{{ m() }}|{{ m(b=1, a=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, a=3) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}{{ m(a=1) }}",
    "{% macro m(a, a2) %}{{ a }}{{ a2 }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'a2': 4}) }}{{ m(1, *[2]) }}", "{% macro m(x) %}{{ x }}{% if x > 0 %}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(5) }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body {{ n }}{% endcall %}", "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m(a, caller=none) %}{{ a }}{{ caller }}{% endmacro %}{{ m(1) }}", "{% macro m() %}{{ n }}{{ zz }}{% endmacro %}{% set zz = 5 %}{{ m() }}",
    "{% macro m() %}{% set n = 1 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m() %}{{ x is defined }}{% endmacro %}{% for x in l %}{{ m() }}{% endfor %}",
    "{% macro m(a, b) %}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}", "{% macro m() %}{% endmacro %}{{ m is callable }}{{ m() | length }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}",
    "{% macro m(a, b=n) %}{{ b }}{% endmacro %}{% set n = 2 %}{{ m(1) }}", "{% macro m(a) -%}\n  {{ a }}\n{%- endmacro %}\n[{{ m(1) }}]", "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}",
    "{% filter upper %}a{{ n }}b{% endfilter %}", "{% filter replace('a', 'b') | upper %}aa{% endfilter %}", "{% filter indent(2) %}a\nb{% endfilter %}", "{% filter trim %}\n {% for x in l %}{{ x }}{% endfor %} \n{% endfilter %}|",
    "{% generation %}{{ n }}{% set q = 1 %}{% endgeneration %}{{ q is defined }}", "{% for m in messages %}{% if m.role == 'assistant' %}{%- generation %}{{ m.role }}{% endgeneration %}\n{% else %}{{ m.role }}\n{% endif %}{% endfor %}",
    "{% block a %}x{{ n }}{% endblock %}", "{% block a %}{% endblock a %}y", "{% for x in l %}{% block a scoped %}{{ x }}{% endblock %}{% endfor %}", "{% for x in l %}{% block a %}{{ x is defined }}{% endblock %}{% endfor %}", "{% print n %}{% print n, 2 %}",
    "{% set sep = joiner('; ') %}{% for x in l %}{{ sep() }}{{ x }}{% endfor %}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}",
    "{% set g = l | map('abs') %}{{ g | list }}{{ g | list }}", "{% set g = l | select('odd') %}{{ 3 in g }}{{ g | list }}", "{% set g = l | map('abs') %}{% for x in g %}{{ x }}/{{ loop.length }} {% endfor %}", "{% set g = l | map('abs') %}{{ g | first }}{{ g | list }}",
    "{% set if = 1 %}{{ if }}", "{{ true.x }}", "{% set none = 1 %}", "{{ 1 }}{% if %}x{% endif %}", "{% if 1 %}", "{% endif %}", "{% for x in l %}", "{% for x in %}{% endfor %}", "{% unknown %}", "{{ 1 + }}", "{{ (1 }}", "{{ 1) }}", "{{ [1 }}", "{{ 'a }}", "{{ a b }}", "{{ a. }}",
    "{{ a[] }}", "{{ a[1:2:3:4] }}", "{% set %}", "{% set a = %}", "{% set 1 = 2 %}", "{{ f(a=1, 2) }}", "{{ f(a=1, a=2) }}", "{{ }}", "{% %}", "{{ 1 | }}", "{{ 1 is }}", "{{ ! }}", "{{ 1 ? 2 }}", "{# open", "{{ 1 ", "{% if 1", "{% raw %}x", "{% break %}", "{% macro m %}{% endmacro %}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{% call 5 %}{% endcall %}", "{% if 1 %}{% endfor %}", "{% for x in l %}{% else %}{% else %}{% endfor %}", "{% block a %}{% endblock %}{% block a %}{% endblock %}", "{{ 1 is odd is even }}", "{% do x %}", "{{ 01 }}", "{{ 1__0 }}", "{{ '\\N{BULLET}' }}",
    "{% if false %}{{ n | nosuch }}{% endif %}ok", "{% if true %}{{ n | nosuch }}{% endif %}", "{% for x in l %}{{ x | nosuch }}{% endfor %}", "{% if false %}{% for x in l %}{{ x | nosuch }}{% endfor %}{% endif %}", "{% if false %}{{ n is nosuch }}{% endif %}ok",
    "{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}", "{% if false %}{% include 'x' %}{% endif %}ok",
    "{{ messages[0]['role'] }}{{ messages[0]['items'] is defined }}", "{{ {'items': 5}.items is callable }}{{ {'items': 5}['items'] }}", "{{ {'keys': 1}.keys() | list }}", "{{ {'a b': 1}['a b'] }}", "{{ {'_a': 1}._a }}{{ {'_a': 1}['_a'] }}", "{{ {'pop': 1}['pop'] }}",
    "{% set x = 'a' %}{% for i in range(3) %}{% set x = x ~ i %}{% endfor %}{{ x }}", "{{ n }}{{ '\n' }}{{ n }}", "{% if n %}{{ 'a' }}\n{% endif %}b", "{%- for m in messages -%}\n<|{{ m.role }}|>{{ m.content }}\n{% endfor -%}\nend",
    "{% for m in messages %}{% if loop.index0 % 2 == 0 and m.content is string and m.content | length > 3 %}{{ m.content | trim }}{% elif not loop.last %}-{% else %}{{ eos_token }}{% endif %}{% endfor %}",
    "{% set ns = namespace(a=[]) %}{% for x in l %}{% set ns.a = ns.a + [x] %}{% endfor %}{{ ns.a }}{{ ns }}", "{% set x = {'a': [1, {'b': 2}]} %}{{ x.a[1].b }}{{ x['a'][0] }}{{ x.a | length }}",
    "{% for k, v in d | dictsort %}{{ k }}:{{ v }}{{ ', ' if not loop.last }}{% endfor %}", "{% for g in users | groupby('age') %}{{ g.grouper }}:{% for u in g.list %}{{ u.name }}{% endfor %};{% endfor %}", "{% for age, us in users | groupby('age') %}{{ age }}{{ us | length }}{% endfor %}",
    "{{ 'a' if true }}{{ 'b' if false }}|", "{{ ('a' if false).x }}", "{% autoescape false %}{{ '<b>' }}{% endautoescape %}", "{{ '{{' }}{{ '%}' }}{{ \"}}\" }}", "{{ {'a':{'b':1}}['a'] }}", "{{{'a':1}}}", "{{ {} }}{{ [] }}{{ () }}",
    "{% set m = messages | first %}{{ m.role }}{% set messages = messages[1:] %}{{ messages | length }}", "{{ u | tojson }}\n{{ [u] }}", "{%- set a = 1 -%}\n\n{%- set b = 2 -%}\n{{ a + b }}", "{{ 1 -}}   x   {{- 2 }}", "{{-1}}{{- 1}}{{+1}}", "{% for x in l -%} {{ x }} {%- endfor %}",
]

#: (template, options): white space as other programs set it.
WITH_OPTIONS = [(template, {"trim_blocks": trim, "lstrip_blocks": strip, "keep_trailing_newline": keep})
                for template in ["a\n  {% if n %}\n  b {# c #}\n  {% endif %}\n{{ n }}\n", "  {#+ c #}\n {%+ set a = 1 +%}\n{{ a }}\n\n", "{% raw %}\n a \n {% endraw %}\n\n"]
                for trim in (False, True) for strip in (False, True) for keep in (False, True)]


def cases():
    # A line that ends with a backslash goes on.
    lines = EXPRESSIONS.replace("\\\n", "\0").split("\n")
    for line in lines:
        yield "{{ " + line.replace("\0", "\\\n") + " }}", {}
    for template in TEMPLATES:
        yield template, {}
    for template, options in WITH_OPTIONS:
        yield template, options
