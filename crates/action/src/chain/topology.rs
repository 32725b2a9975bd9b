//! Decides who feeds whom. Pure: what is reported goes in, what is to be done comes out; no process, no thread, and no
//! clock but the time that it is told.
//!
//! # One host
//! ```text
//!  waiting ──▶ starting ──listening──▶ live ──placed, and nobody behind needs it──▶ released ──▶ over
//!     │            │                    │                                              │
//!     │            └── ended, failed ───┴── silent, deaf, not to be fed ───────────────┴──▶ lost ──▶ over
//!     └── called off
//! ```
//!
//! # The link that feeds a live host
//! ```text
//!  listening ROUND PORT HAVE            connect to PORT, from byte HAVE on
//!   ┌──▶ unfed ────────────────────────────▶ linked ──taking──▶ fed ──all is there──▶ complete
//!   │      ▲                                   │                 │
//!   │      └─── a new round: it was cut off ───┴─────────────────┤
//!   │                                          │                 │
//!   └── listening ◀── again ◀── refused, not taken in time ──────┴── nothing more came, though there is more
//!                       └── not heard in time ──▶ lost
//! ```
//! A host stores all that comes, so whoever feeds it next begins where the last one stopped: the length of what it has
//! travels with each connection, and a connection that does not say exactly that is refused by the host.
//!
//! # Who feeds
//! A host is fed by the nearest one before it, in order, that lives, has not proved unable to feed, and feeds nobody
//! else; if there is none, from here. One that is given up is skipped; behind more than so many skipped in succession
//! the chain ends.
//!
//! 1. A host that takes long to begin moves to the end of the order, once.
//! 2. A link that fails is tried again, `host_retry` times without a byte of progress.
//! 3. Then the host is fed from here. If that works, it is the one before it that cannot feed, and it is asked no more;
//!    if not, the host is given up.

use std::time::Duration;

/// How patient it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// How often feeding a host is tried again, without a byte of progress.
    pub(super) host_retry: u32,
    /// How many hosts in succession may be skipped.
    pub(super) may_skip: usize,
    /// How long to wait before another try.
    pub(super) try_delay: Duration,
    /// How long a connection may take.
    pub(super) client_timeout: Duration,
    /// How long a host may say nothing, or get nothing.
    pub(super) server_timeout: Duration,
    /// How many hosts may be on their way to their first word.
    pub(super) fanout: usize,
}

/// Who feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feeder {
    /// This program.
    Here,
    /// The host at this index.
    Host(usize),
}

/// How much there was, when all has been sent once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) length: u64,
    pub(super) sum: [u8; 32],
}

/// What is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// The host waits for somebody to feed it, beginning with the byte `have`.
    Listening { host: usize, round: u64, port: u16, have: u64 },
    /// What came in that round began as it should.
    Taking { host: usize, round: u64 },
    /// It lives, and has so much.
    Have { host: usize, have: u64 },
    /// An attempt to feed has failed; one that ends well is reported by whoever is fed.
    NotFed { attempt: u64, why: String },
    /// It has all.
    Complete { host: usize },
    /// It has put into place what came, which was this.
    Placed { host: usize, total: Total },
    /// It cannot go on.
    Failed { host: usize, why: String },
    /// Its process has ended.
    Ended { host: usize },
    /// All has been sent once, from here.
    Sent { total: Total },
    /// Something that was to be sent cannot be read.
    SourceFailed { why: String },
    /// Nobody is to be started any more.
    CalledOff,
    /// Nothing but time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Start the process of that host.
    Start { host: usize },
    /// Let `from` feed `host`, which listens on that port, from that byte on; `from` feeds nobody else then.
    Feed { attempt: u64, from: Feeder, host: usize, port: u16, offset: u64 },
    /// End an attempt of ours.
    StopFeeding { attempt: u64 },
    /// Let the host give up that round and listen again.
    Again { host: usize, round: u64 },
    /// Tell it how much there was.
    Tell { host: usize, total: Total },
    /// Nobody needs it any more, and all is well.
    Release { host: usize },
    /// It is given up, for this reason.
    GiveUp { host: usize, why: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Starting { since: Duration },
    Live,
    Released { since: Duration },
    Lost,
    Over,
}

#[derive(Debug, Clone)]
struct Member {
    phase: Phase,
    /// It has been moved to the end of the order.
    late: bool,
    have: u64,
    round: u64,
    /// Where it listens, and nobody feeds it.
    port: Option<u16>,
    link: Option<Link>,
    /// It was told to listen again, and has not done so.
    asked: Option<Duration>,
    tries: u32,
    not_before: Duration,
    heard: Duration,
    /// Why feeding it failed last.
    why: String,
    told: bool,
    /// When it had all, and was told so.
    full: Option<Duration>,
    complete: bool,
    placed: bool,
    /// It cannot feed others.
    mute: bool,
    /// The one before could not feed it, so we try.
    suspect: Option<Feeder>,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    attempt: u64,
    from: Feeder,
    taken: bool,
    /// How much it had, and when that became more.
    have: u64,
    moved: Duration,
}

/// A chain under way.
#[derive(Debug)]
pub(super) struct Topology {
    settings: Settings,
    members: Vec<Member>,
    order: Vec<usize>,
    total: Option<Total>,
    attempts: u64,
    orders: Vec<Command>,
}

impl Member {
    fn new() -> Self {
        Self {
            phase: Phase::Waiting,
            late: false,
            have: 0,
            round: 0,
            port: None,
            link: None,
            asked: None,
            tries: 0,
            not_before: Duration::ZERO,
            heard: Duration::ZERO,
            why: String::new(),
            told: false,
            full: None,
            complete: false,
            placed: false,
            mute: false,
            suspect: None,
        }
    }

    fn is_hungry(&self) -> bool {
        self.phase == Phase::Live && !self.complete
    }
}

impl Topology {
    pub(super) fn new(hosts: usize, settings: Settings) -> Self {
        let members = (0..hosts).map(|_| Member::new()).collect();
        Self { settings, members, order: (0..hosts).collect(), total: None, attempts: 0, orders: Vec::new() }
    }

    /// Whether nobody works any more, and nobody will.
    pub(super) fn is_over(&self) -> bool {
        self.members.iter().all(|member| member.phase == Phase::Over)
    }

    /// Whether the host has said that everything is in place.
    pub(super) fn is_placed(&self, host: usize) -> bool {
        self.members[host].placed
    }

    /// How many bytes have arrived at the hosts, and at how many hosts everything is in place.
    pub(super) fn progress(&self) -> (u64, usize) {
        // What they say they have may be any number.
        let bytes = self.members.iter().fold(0, |sum: u64, member| sum.saturating_add(member.have));
        (bytes, self.members.iter().filter(|member| member.placed).count())
    }

    /// Takes a report in, and says what is to be done now. `now` counts from the beginning, and never backwards.
    pub(super) fn handle(&mut self, report: Input, now: Duration) -> Vec<Command> {
        if self.take_in(report, now) {
            self.look_at_time(now);
            self.start(now);
            self.feed(now);
            self.release(now);
        }
        std::mem::take(&mut self.orders)
    }

    /// True if something may have to be done about it.
    fn take_in(&mut self, report: Input, now: Duration) -> bool {
        match report {
            Input::Listening { host, round, port, have } => self.listens(host, round, port, have, now),
            Input::Taking { host, round } => {
                self.hear(host, now);
                self.takes(host, round, now);
            }
            Input::Have { host, have } => {
                self.hear(host, now);
                self.has(host, have, now);
                return false;
            }
            Input::NotFed { attempt, why } => self.not_fed(attempt, why, now),
            Input::Complete { host } => {
                self.hear(host, now);
                self.completes(host);
            }
            Input::Placed { host, total } => {
                self.hear(host, now);
                self.places(host, total);
            }
            Input::Failed { host, why } => self.give_up(host, why, now),
            Input::Ended { host } => self.ends(host, now),
            Input::Sent { total } => {
                let known = *self.total.get_or_insert(total);
                if known != total {
                    log::warn!("a source was changed while it was sent: hosts that were fed again will find that out");
                }
            }
            Input::SourceFailed { why } => {
                for host in 0..self.members.len() {
                    self.give_up(host, why.clone(), now);
                }
            }
            Input::CalledOff => {
                let waiting = self.members.iter_mut().filter(|member| member.phase == Phase::Waiting);
                waiting.for_each(|member| member.phase = Phase::Over);
            }
            Input::Tick => {}
        }
        true
    }

    fn hear(&mut self, host: usize, now: Duration) {
        self.members[host].heard = now;
    }

    fn listens(&mut self, host: usize, round: u64, port: u16, have: u64, now: Duration) {
        self.hear(host, now);
        let member = &mut self.members[host];
        match member.phase {
            Phase::Starting { .. } => {
                member.phase = Phase::Live;
                if member.late {
                    // Others may have come after it.
                    self.order.retain(|other| *other != host);
                    self.order.push(host);
                }
            }
            Phase::Live => {}
            Phase::Waiting | Phase::Released { .. } | Phase::Lost | Phase::Over => return,
        }
        self.has(host, have, now);
        let member = &mut self.members[host];
        (member.round, member.port) = (round, Some(port));
        // It was cut off, if it has not been told to cut itself off.
        let cut = member.asked.take().is_none();
        if let Some(link) = member.link
            && cut
        {
            self.stop(link);
            self.failed(host, "the connection was cut".to_owned(), now);
        }
    }

    fn takes(&mut self, host: usize, round: u64, now: Duration) {
        let member = &mut self.members[host];
        if member.round != round {
            return;
        }
        let Some(link) = &mut member.link else { return };
        (link.taken, link.moved) = (true, now);
        let (from, suspect) = (link.from, member.suspect.take());
        if let (Feeder::Here, Some(Feeder::Host(suspect))) = (from, suspect) {
            self.members[suspect].mute = true;
        }
    }

    fn has(&mut self, host: usize, have: u64, now: Duration) {
        let member = &mut self.members[host];
        member.have = have;
        if let Some(link) = &mut member.link
            && have > link.have
        {
            (link.have, link.moved, member.tries) = (have, now, 0);
        }
    }

    fn not_fed(&mut self, attempt: u64, why: String, now: Duration) {
        let concerned = self.members.iter().position(|member| member.link.is_some_and(|link| link.attempt == attempt));
        // A host that was taking hears for itself that nothing more comes, and says how much it has.
        if let Some(host) = concerned
            && self.members[host].link.is_some_and(|link| !link.taken)
        {
            self.failed(host, why, now);
            self.ask_again(host, now);
        }
    }

    fn completes(&mut self, host: usize) {
        let member = &mut self.members[host];
        if member.phase == Phase::Live {
            (member.complete, member.link, member.port) = (true, None, None);
            if let Some(total) = self.total {
                member.have = total.length;
            }
        }
    }

    fn places(&mut self, host: usize, total: Total) {
        // The host has compared it, too.
        if self.total == Some(total) && self.members[host].phase == Phase::Live {
            self.members[host].placed = true;
        }
    }

    fn ends(&mut self, host: usize, now: Duration) {
        self.members[host].phase = Phase::Over;
        self.unlink(host, now);
    }

    fn give_up(&mut self, host: usize, why: String, now: Duration) {
        let member = &mut self.members[host];
        match member.phase {
            Phase::Waiting => member.phase = Phase::Over,
            Phase::Starting { .. } | Phase::Live | Phase::Released { .. } => member.phase = Phase::Lost,
            Phase::Lost | Phase::Over => return,
        }
        self.orders.push(Command::GiveUp { host, why });
        self.unlink(host, now);
    }

    /// Whom it fed needs another, and who fed it need not any more.
    fn unlink(&mut self, host: usize, now: Duration) {
        if let Some(link) = self.members[host].link.take() {
            self.stop(link);
        }
        let fed = |member: &Member| member.link.is_some_and(|link| link.from == Feeder::Host(host));
        for other in 0..self.members.len() {
            if fed(&self.members[other]) {
                self.members[other].link = None;
                self.ask_again(other, now);
            }
        }
    }

    fn stop(&mut self, link: Link) {
        if link.from == Feeder::Here {
            self.orders.push(Command::StopFeeding { attempt: link.attempt });
        }
    }

    /// The link of a host did not work.
    fn failed(&mut self, host: usize, why: String, now: Duration) {
        let member = &mut self.members[host];
        let Some(link) = member.link.take() else { return };
        member.tries += 1;
        member.not_before = now + self.settings.try_delay;
        member.why = why;
        if member.tries > self.settings.host_retry {
            match link.from {
                Feeder::Host(_) => (member.suspect, member.tries) = (Some(link.from), 0),
                Feeder::Here => {
                    let why = format!("it cannot be fed: {}", member.why);
                    self.give_up(host, why, now);
                }
            }
        }
    }

    fn ask_again(&mut self, host: usize, now: Duration) {
        let member = &mut self.members[host];
        if member.is_hungry() {
            (member.port, member.asked) = (None, Some(now));
            self.orders.push(Command::Again { host, round: member.round });
        }
    }

    fn look_at_time(&mut self, now: Duration) {
        for host in 0..self.members.len() {
            match self.members[host].phase {
                Phase::Starting { since } if now > since + self.settings.server_timeout => self.is_late(host),
                Phase::Live => self.look_at_live(host, now),
                Phase::Released { since } if now > since + self.settings.server_timeout => {
                    // All is in place there; but whoever does not end may be anything.
                    self.give_up(host, "it does not end, although it has everything".to_owned(), now);
                }
                _ => {}
            }
        }
    }

    fn is_late(&mut self, host: usize) {
        let member = &mut self.members[host];
        if !member.late {
            member.late = true;
            self.order.retain(|other| *other != host);
            self.order.push(host);
        }
    }

    fn look_at_live(&mut self, host: usize, now: Duration) {
        let (member, settings) = (&self.members[host], &self.settings);
        let patience = settings.server_timeout;
        if now > member.heard + patience {
            return self.give_up(host, format!("it has said nothing for {} s", patience.as_secs()), now);
        }
        let unanswered = member.asked.or(member.full.filter(|_| !member.complete));
        if unanswered.is_some_and(|asked| now > asked + patience) {
            return self.give_up(host, "it does not react".to_owned(), now);
        }
        let Some(link) = member.link else { return };
        let more = match (link.from, self.total) {
            (Feeder::Host(feeder), _) => self.members[feeder].have > member.have,
            (Feeder::Here, total) => total.is_none_or(|total| total.length > member.have),
        };
        if link.taken && !more {
            // It waits for what its feeder has not, either.
            self.members[host].link = Some(Link { moved: now, ..link });
            return;
        }
        let (over, why) = if link.taken {
            (now > link.moved + patience, format!("nothing came for {} s", patience.as_secs()))
        } else {
            let patience = settings.client_timeout.saturating_mul(2);
            (now > link.moved + patience, format!("it took nothing for {} s", patience.as_secs()))
        };
        if over {
            self.stop(link);
            self.failed(host, why, now);
            self.ask_again(host, now);
        }
    }

    fn start(&mut self, now: Duration) {
        let starting = |member: &Member| matches!(member.phase, Phase::Starting { .. });
        let mut room =
            self.settings.fanout.saturating_sub(self.members.iter().filter(|member| starting(member)).count());
        for (host, member) in self.members.iter_mut().enumerate() {
            if room > 0 && member.phase == Phase::Waiting {
                room -= 1;
                member.phase = Phase::Starting { since: now };
                self.orders.push(Command::Start { host });
            }
        }
    }

    /// Goes along the order, and sees to it that everybody is fed, and told how much there was.
    fn feed(&mut self, now: Duration) {
        let (mut before, mut skipped) = (Feeder::Here, 0);
        for host in self.order.clone() {
            let member = &self.members[host];
            match member.phase {
                Phase::Waiting => break,
                Phase::Starting { .. } if member.late => continue,
                Phase::Starting { .. } => break,
                Phase::Released { .. } => skipped = 0,
                // One that ended well is nobody that was skipped.
                Phase::Over if member.placed => skipped = 0,
                Phase::Lost | Phase::Over => skipped += 1,
                Phase::Live if skipped > self.settings.may_skip && member.link.is_none() && !member.complete => {
                    let why = format!("the chain ends before it: {skipped} hosts in succession had to be skipped");
                    self.give_up(host, why, now);
                    skipped += 1;
                }
                Phase::Live => {
                    skipped = 0;
                    self.feed_one(host, before, now);
                    if !self.members[host].mute {
                        before = Feeder::Host(host);
                    }
                }
            }
        }
    }

    fn feed_one(&mut self, host: usize, before: Feeder, now: Duration) {
        let member = &mut self.members[host];
        if let Some(total) = self.total.filter(|total| total.length < member.have) {
            let why = format!("it says that it has {} bytes, and there are only {}", member.have, total.length);
            return self.give_up(host, why, now);
        }
        if let Some(total) = self.total
            && !std::mem::replace(&mut member.told, true)
        {
            self.orders.push(Command::Tell { host, total });
        }
        if self.total.is_some_and(|total| member.have >= total.length) {
            member.full.get_or_insert(now);
            return;
        }
        let Some(port) = member.port else { return };
        if member.link.is_some() || member.complete || now < member.not_before {
            return;
        }
        let from = self.feeder(host, before);
        let member = &mut self.members[host];
        self.attempts += 1;
        let (attempt, offset) = (self.attempts, member.have);
        member.link = Some(Link { attempt, from, taken: false, have: offset, moved: now });
        member.port = None;
        self.orders.push(Command::Feed { attempt, from, host, port, offset });
    }

    fn feeder(&self, host: usize, before: Feeder) -> Feeder {
        match before {
            Feeder::Host(feeder) if self.members[host].suspect.is_some() || self.feeds(feeder) => Feeder::Here,
            before => before,
        }
    }

    fn feeds(&self, host: usize) -> bool {
        self.members.iter().any(|member| member.link.is_some_and(|link| link.from == Feeder::Host(host)))
    }

    /// Lets those go who have everything in place and behind whom nobody is hungry: if the next one has everything, it
    /// can feed who comes then, and otherwise we can.
    fn release(&mut self, now: Duration) {
        let mut free = true;
        for host in self.order.clone().into_iter().rev() {
            match self.members[host].phase {
                Phase::Lost | Phase::Over => continue,
                Phase::Live if self.members[host].placed && free && !self.feeds(host) => {
                    self.members[host].phase = Phase::Released { since: now };
                    self.orders.push(Command::Release { host });
                }
                _ => {}
            }
            free = self.members[host].complete;
        }
    }
}

#[cfg(test)]
mod tests;
