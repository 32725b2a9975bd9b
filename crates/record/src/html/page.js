'use strict';
// The page of a record. What comes from the record becomes text only (textContent), never markup. What is looked at is in the
// fragment of the address, so that it can be sent to somebody: q, result, step, sort, host, theme.
(() => {
  const opened = performance.now();
  const find = id => document.getElementById(id);
  const data = JSON.parse(find('data').textContent);
  const steps = data.steps;
  const hosts = data.hosts.map(([step, node, result, message, start, end, duration, bytes, leftOut], number) =>
    ({number, step, node, result: data.results[result][0], look: data.results[result][1],
      message: data.messages[message], start, end, duration, bytes, leftOut}));
  const ROW = 24;

  // One element, with its class and its text.
  const make = (tag, look, text) => {
    const element = document.createElement(tag);
    if (look) element.className = look;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  // Not toLocaleString: a browser takes its time to load what it knows of languages.
  const grouped = count => String(count).replace(/\B(?=(\d{3})+$)/g, ',');
  const many = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
  const two = number => String(number).padStart(2, '0');

  // ---- time ----

  // Steps that are far apart would be slivers on one clock: then each has its own, from zero.
  const least = (values, other) => values.reduce((one, value) => Math.min(one, value), other);
  const most = (values, other) => values.reduce((one, value) => Math.max(one, value), other);
  const earliest = least(steps.map(step => step.begin), Infinity);
  const latest = most(steps.map(step => step.end), 0);
  const lengths = steps.reduce((sum, step) => sum + step.end - step.begin, 0);
  const oneClock = lengths * 3 >= latest - earliest;
  const shift = step => oneClock ? (steps[step].begin - earliest) * 1000 : 0;
  const from = host => host.start === null ? null : host.start + shift(host.step);
  const until = host => (host.end === null ? (steps[host.step].end - steps[host.step].begin) * 1000 : host.end) + shift(host.step);

  const span = milliseconds => {
    if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
    if (milliseconds < 60000) return `${(milliseconds / 1000).toFixed(milliseconds < 10000 ? 2 : 1)} s`;
    const seconds = Math.round(milliseconds / 1000);
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)} h` : `${minutes}:${two(seconds % 60)} min`;
  };
  const date = seconds => {
    const at = new Date(seconds * 1000);
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')}`;
  };

  // ---- what is looked at ----

  const view = {q: '', result: new Set(), step: '', sort: '', host: -1};
  let chosen = [];
  let rows = [];
  let whole = [0, 1];
  let window_ = [0, 1];

  let lines = null;
  const said = number => {
    lines ??= find('outputs').textContent.split('\n');
    return lines[number] ? JSON.parse(lines[number]) : [];
  };
  let haystacks = null;
  const haystack = host => {
    haystacks ??= new Array(hosts.length);
    return haystacks[host.number] ??=
      [host.node, host.result, host.message, ...said(host.number).filter((_, index) => index % 2)].join('\n').toLowerCase();
  };

  const ORDERS = {
    start: (one, other) => (one.start ?? Infinity) - (other.start ?? Infinity) || one.number - other.number,
    longest: (one, other) => (other.duration ?? until(other) - (from(other) ?? until(other)))
      - (one.duration ?? until(one) - (from(one) ?? until(one))) || one.number - other.number,
    result: (one, other) => LOOKS.indexOf(one.look) - LOOKS.indexOf(other.look) || one.number - other.number,
  };
  const LOOKS = ['failed', 'broken', 'unfinished', 'stopped', 'ok'];

  const choose = () => {
    const began = performance.now();
    const words = view.q.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = host => (view.step === '' || host.step === Number(view.step))
      && (!view.result.size || view.result.has(host.result))
      && words.every(word => haystack(host).includes(word));
    chosen = hosts.filter(wanted);
    rows = [];
    const ofStep = steps.map(() => []);
    for (const host of chosen) ofStep[host.step].push(host);
    steps.forEach((step, number) => {
      const members = ofStep[number];
      if (!members.length) return;
      if (ORDERS[view.sort]) members.sort(ORDERS[view.sort]);
      if (steps.length > 1) rows.push({group: step, number, count: members.length});
      for (const host of members) rows.push(host);
    });
    const ends = chosen.map(until), starts = chosen.map(from).filter(start => start !== null);
    const begin = least(starts, Infinity);
    whole = [Number.isFinite(begin) ? Math.min(begin, least(ends, Infinity)) : 0, 0];
    whole[1] = Math.max(most(ends, 0), whole[0] + 1);
    window_ = [...whole];
    drawOverview();
    find('rows').style.height = `${rows.length * ROW}px`;
    find('nobody').hidden = rows.length > 0;
    draw();
    document.documentElement.dataset.shown = chosen.length;
    document.documentElement.dataset.filtered = Math.ceil(performance.now() - began);
  };

  // ---- rows ----

  const place = (bar, begin, end) => {
    const [left, right] = window_;
    const percent = time => 100 * (time - left) / (right - left);
    bar.style.left = `min(${Math.max(percent(begin), -1)}%, 100% - 2px)`;
    bar.style.width = `${Math.max(Math.min(percent(end), 101) - Math.max(percent(begin), -1), 0)}%`;
    bar.hidden = end < left || begin > right;
  };
  const track = (begin, end) => {
    const outer = make('div', 'track');
    if (begin !== null || end !== null) {
      const bar = make('div', 'bar');
      place(bar, begin ?? end, end ?? begin);
      outer.append(bar);
    }
    return outer;
  };
  const drawHost = host => {
    const row = make('div', `row ${host.look}`);
    row.setAttribute('role', 'option');
    row.setAttribute('aria-selected', host.number === view.host);
    const result = make('span', 'result');
    result.append(make('i', 'dot'), make('span', '', host.result));
    row.append(make('span', 'node', host.node), result,
      make('span', 'time', host.duration === null ? '' : span(host.duration)),
      track(from(host), host.start === null && host.end === null ? null : until(host)));
    row.title = `${host.node}: ${host.message}`;
    row.addEventListener('click', () => open(host.number === view.host ? -1 : host.number));
    return row;
  };
  const drawGroup = ({group, number, count}) => {
    const row = make('div', 'row group');
    row.append(make('span', 'node', `${number + 1}. ${group.command}  ·  ${many(count, 'host')}`),
      track(shift(number), shift(number) + (group.end - group.begin) * 1000));
    row.title = `${group.command}\n${group.file}, ${date(group.begin)}\nclick to see this step alone, or all again`;
    row.addEventListener('click', () => set({step: view.step === '' ? String(number) : ''}));
    return row;
  };
  const draw = () => {
    const list = find('list');
    const first = Math.max(Math.floor(list.scrollTop / ROW) - 10, 0);
    const last = Math.min(Math.ceil((list.scrollTop + (list.clientHeight || 800)) / ROW) + 10, rows.length);
    const drawn = document.createDocumentFragment();
    for (let at = first; at < last; at += 1) {
      const row = rows[at].group ? drawGroup(rows[at]) : drawHost(rows[at]);
      row.style.top = `${at * ROW}px`;
      drawn.append(row);
    }
    find('rows').replaceChildren(drawn);
    drawAxis();
  };

  // ---- axis and overview ----

  const drawAxis = () => {
    const [left, right] = window_;
    const axis = find('axis');
    const room = Math.max(Math.floor((axis.clientWidth || 500) / 80), 2);
    const raw = (right - left) / room;
    const bases = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5];
    const tick = bases.find(base => base >= raw) ?? 864e5 * Math.ceil(raw / 864e5);
    axis.replaceChildren();
    const zero = whole[0];
    for (let at = Math.ceil((left - zero) / tick) * tick + zero; at < right; at += tick) {
      const mark = make('span', '', at === zero ? '0' : `+${span(at - zero).replace(/\.0+ /, ' ')}`);
      mark.style.left = `${100 * (at - left) / (right - left)}%`;
      axis.append(mark);
    }
  };
  const drawOverview = () => {
    const BUCKETS = 240;
    const [left, right] = whole;
    const bucket = time => Math.min(Math.max(Math.floor(BUCKETS * (time - left) / (right - left)), 0), BUCKETS - 1);
    const change = new Int32Array(BUCKETS + 1), trouble = new Int32Array(BUCKETS);
    for (const host of chosen) {
      if (host.start === null && host.end === null) continue;
      const [begin, end] = [bucket(from(host) ?? until(host)), bucket(until(host))];
      change[begin] += 1;
      change[end + 1] -= 1;
      if (host.look === 'failed' || host.look === 'broken') trouble[end] += 1;
    }
    const running = new Int32Array(BUCKETS);
    let now = 0, most = 1;
    for (let at = 0; at < BUCKETS; at += 1) {
      now += change[at];
      running[at] = now;
      most = Math.max(most, now);
    }
    const drawn = document.createDocumentFragment();
    const column = (look, at, share) => {
      const bar = make('i', look);
      bar.style.left = `${100 * at / BUCKETS}%`;
      bar.style.width = `calc(${100 / BUCKETS}% + 1px)`;
      bar.style.height = `${100 * share}%`;
      drawn.append(bar);
    };
    for (let at = 0; at < BUCKETS; at += 1) {
      if (running[at]) column('', at, running[at] / most);
      if (trouble[at]) column('trouble', at, Math.max(trouble[at] / most, 0.08));
    }
    find('activity').replaceChildren(drawn);
    drawLens();
  };
  const drawLens = () => {
    const lens = find('lens');
    const [left, right] = whole;
    lens.style.display = window_[0] > left || window_[1] < right ? 'block' : 'none';
    lens.style.left = `${100 * (window_[0] - left) / (right - left)}%`;
    lens.style.width = `${100 * (window_[1] - window_[0]) / (right - left)}%`;
  };
  const look = (one, other) => {
    const [left, right] = whole;
    const chosenSpan = [Math.min(one, other), Math.max(one, other)];
    window_ = chosenSpan[1] - chosenSpan[0] > (right - left) / 500 ? chosenSpan : [...whole];
    drawLens();
    draw();
  };
  const overview = find('overview');
  const timeAt = event => {
    const box = overview.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    return whole[0] + share * (whole[1] - whole[0]);
  };
  overview.addEventListener('pointerdown', event => {
    const begin = timeAt(event);
    overview.setPointerCapture(event.pointerId);
    const move = event => look(begin, timeAt(event));
    overview.addEventListener('pointermove', move);
    overview.addEventListener('pointerup', () => overview.removeEventListener('pointermove', move), {once: true});
  });
  overview.addEventListener('dblclick', () => look(...whole));

  // ---- one host ----

  // The text with the words that were searched for marked.
  const marked = (text, parent) => {
    const words = view.q.split(/\s+/).filter(Boolean).map(word => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const pieces = words.length ? text.split(new RegExp(`(${words.join('|')})`, 'i')) : [text];
    pieces.forEach((piece, index) => piece && parent.append(index % 2 ? make('mark', '', piece) : piece));
  };
  const open = number => {
    view.host = number;
    const host = hosts[number];
    const detail = find('detail');
    detail.hidden = !host;
    draw();
    keep();
    if (!host) return;
    detail.querySelector('h2').textContent = host.node;
    const verdict = find('verdict');
    verdict.className = host.look;
    verdict.replaceChildren(make('i', 'dot'), make('span', '', host.message));
    const step = steps[host.step];
    const facts = [
      ['command', step.command],
      ['started', host.start === null ? 'never' : date(step.begin + host.start / 1000)],
      ['duration', host.duration === null ? 'unknown' : span(host.duration)],
      ['output', many(host.bytes, 'byte')],
      ['record', step.file],
    ];
    const list = detail.querySelector('dl');
    list.replaceChildren(...facts.flatMap(([name, value]) => [make('dt', '', name), make('dd', '', value)]));
    const pane = find('said');
    pane.replaceChildren();
    if (host.leftOut) pane.append(make('span', 'note', `(the first ${many(host.leftOut, 'byte')} are in the record only)\n`));
    const pieces = said(number);
    for (let at = 0; at < pieces.length; at += 2) {
      const piece = make('span', pieces[at]);
      marked(pieces[at + 1], piece);
      pane.append(piece);
    }
    if (!pieces.length) pane.append(make('span', 'note', 'It said nothing.'));
    pane.scrollTop = 0;
  };
  const step = by => {
    const members = rows.filter(row => !row.group);
    if (!members.length) return;
    const at = members.findIndex(host => host.number === view.host);
    const next = members[at < 0 ? 0 : Math.min(Math.max(at + by, 0), members.length - 1)];
    open(next.number);
    reveal(next);
  };
  const reveal = host => {
    const list = find('list'), top = rows.indexOf(host) * ROW;
    if (top < list.scrollTop) list.scrollTop = Math.max(top, 0);
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  };

  // ---- the address ----

  const keep = () => {
    const words = new URLSearchParams();
    if (view.q) words.set('q', view.q);
    if (view.result.size) words.set('result', [...view.result].join(','));
    if (view.step !== '') words.set('step', Number(view.step) + 1);
    if (view.sort) words.set('sort', view.sort);
    if (hosts[view.host]) words.set('host', hosts[view.host].node);
    if (document.documentElement.dataset.theme) words.set('theme', document.documentElement.dataset.theme);
    try {
      history.replaceState(null, '', `#${words}`);
    } catch {
      // Some browsers forbid it for files; only the address is poorer for it.
    }
  };
  const set = changes => {
    Object.assign(view, changes);
    keep();
    show();
  };
  const show = () => {
    find('search').value = view.q;
    find('sort').value = view.sort;
    find('step').value = view.step;
    for (const chip of find('chips').children) chip.setAttribute('aria-pressed', view.result.has(chip.dataset.result));
    choose();
  };
  const arrive = () => {
    const words = new URLSearchParams(location.hash.slice(1));
    view.q = words.get('q') ?? '';
    view.result = new Set((words.get('result') ?? '').split(',').filter(Boolean));
    view.step = steps[Number(words.get('step')) - 1] ? String(Number(words.get('step')) - 1) : '';
    view.sort = ORDERS[words.get('sort')] ? words.get('sort') : '';
    if (/^(dark|light)$/.test(words.get('theme'))) document.documentElement.dataset.theme = words.get('theme');
    const wanted = words.get('host');
    show();
    const isWanted = host => host.node === wanted;
    const host = chosen.find(isWanted) ?? hosts.find(isWanted);
    open(host ? host.number : -1);
    if (host) reveal(host);
  };

  // ---- the frame ----

  const frame = () => {
    const total = hosts.length, good = hosts.filter(host => host.look === 'ok').length;
    const unfinished = hosts.filter(host => host.look === 'unfinished').length;
    document.querySelector('h1').textContent = steps.length === 1 ? steps[0].command : many(steps.length, 'step');
    document.querySelector('h1').title = steps.map(step => step.command).join('\n');
    const ended = steps.every(step => step.exit !== null);
    const statuses = [...new Set(steps.map(step => step.exit))];
    const state = !ended ? 'the record ends before the run' : `exit status ${statuses.join(', ')}`;
    document.querySelector('#title p').textContent = steps.length
      ? [date(earliest), span((latest - earliest) * 1000), state, [...new Set(steps.map(step => step.file))].join(', ')].join('  ·  ')
      : 'Nothing was recorded.';
    const figure = (number, name, look) => {
      const box = make('div', look);
      const count = make('b', '', grouped(number));
      if (look && number) count.style.color = 'var(--class)';
      box.append(count, make('span', '', name));
      return box;
    };
    find('figures').append(figure(total, steps.length > 1 ? 'processes' : 'hosts'), figure(good, 'ok', 'ok'),
      figure(total - good - unfinished, 'failed', 'failed'));
    if (unfinished) find('figures').append(figure(unfinished, 'unfinished', 'unfinished'));
    const chips = data.results.map(([word, look]) => ({word, look, count: hosts.filter(host => host.result === word).length}));
    chips.sort((one, other) => LOOKS.indexOf(one.look) - LOOKS.indexOf(other.look) || other.count - one.count);
    for (const {word, look, count} of chips) {
      const chip = make('button', look);
      chip.type = 'button';
      chip.dataset.result = word;
      chip.append(make('i', 'dot'), word, make('b', '', grouped(count)));
      chip.addEventListener('click', () => {
        const result = new Set(view.result);
        if (!result.delete(word)) result.add(word);
        set({result});
      });
      find('chips').append(chip);
    }
    const choice = find('step');
    choice.hidden = steps.length < 2;
    const option = (value, text) => Object.assign(make('option', '', text), {value});
    choice.append(option('', 'all steps'), ...steps.map((step, number) => option(number, `${number + 1}. ${step.command}`.slice(0, 80))));
    choice.addEventListener('change', () => set({step: choice.value}));
    find('sort').addEventListener('change', event => set({sort: event.target.value}));
    let soon = 0;
    find('search').addEventListener('input', event => {
      clearTimeout(soon);
      soon = setTimeout(() => set({q: event.target.value}), 60);
    });
    find('theme').addEventListener('click', () => {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
      keep();
    });
    find('close').addEventListener('click', () => open(-1));
    find('list').addEventListener('scroll', draw, {passive: true});
    addEventListener('resize', draw);
    addEventListener('hashchange', arrive);
    addEventListener('keydown', event => {
      const typing = /^(INPUT|SELECT)$/.test(document.activeElement?.tagName);
      if (event.key === 'Escape') open(-1);
      else if (event.key === '/' && !typing) find('search').focus();
      else if (event.key === 'ArrowDown' && !typing) step(1);
      else if (event.key === 'ArrowUp' && !typing) step(-1);
      else return;
      event.preventDefault();
    });
  };

  frame();
  arrive();
  document.documentElement.dataset.opened = Math.ceil(performance.now() - opened);
})();
