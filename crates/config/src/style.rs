//! How things look on a terminal: hosts, commands, warnings and levels of the log, each in a style of its own that can
//! be changed. Whether there are colours at all is decided once, by a list.

mod words;

use std::collections::HashMap;
use std::fmt;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use log::Level;

pub use words::{InvalidStyle, parse, words};

/// A kind of text that has a style of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The header of a line of the log.
    LogHeader,
    /// A description of an object.
    Object,
    /// Text to be noticed.
    Emphasis,
    /// A part of a report that is worth a look.
    ReportWarning,
    /// A part of a report that is wrong.
    ReportError,
    /// A command.
    Command,
    /// The host before a line of its stdout.
    StdoutLabel,
    /// The host before a line of its stderr.
    StderrLabel,
    /// A host.
    Host,
    /// For the program's own use, first.
    User1,
    /// For the program's own use, second.
    User2,
    /// For the program's own use, third.
    User3,
    /// A line of the log at this level.
    Level(Level),
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// On a terminal that shows them.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 17] = [
        Self::LogHeader,
        Self::Object,
        Self::Emphasis,
        Self::ReportWarning,
        Self::ReportError,
        Self::Command,
        Self::Host,
        Self::StdoutLabel,
        Self::StderrLabel,
        Self::User1,
        Self::User2,
        Self::User3,
        Self::Level(Level::Error),
        Self::Level(Level::Warn),
        Self::Level(Level::Info),
        Self::Level(Level::Debug),
        Self::Level(Level::Trace),
    ];

    /// Returns its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LogHeader => "log_header",
            Self::Object => "object",
            Self::Emphasis => "emphasis",
            Self::ReportWarning => "report_warning",
            Self::ReportError => "report_error",
            Self::Command => "command",
            Self::StdoutLabel => "stdout_label",
            Self::StderrLabel => "stderr_label",
            Self::Host => "host",
            Self::User1 => "user1",
            Self::User2 => "user2",
            Self::User3 => "user3",
            Self::Level(Level::Error) => "error",
            Self::Level(Level::Warn) => "warn",
            Self::Level(Level::Info) => "info",
            Self::Level(Level::Debug) => "debug",
            Self::Level(Level::Trace) => "trace",
        }
    }

    /// Returns its style unless another is set.
    #[must_use]
    pub fn style(self) -> Style {
        let colour = |colour: AnsiColor| colour.on_default();
        match self {
            Self::LogHeader => colour(AnsiColor::Yellow),
            Self::Object | Self::Command => colour(AnsiColor::Blue).bold(),
            Self::Emphasis => colour(AnsiColor::Magenta).bold(),
            Self::Host => colour(AnsiColor::Magenta),
            // The colours of clush.
            Self::StdoutLabel => colour(AnsiColor::BrightBlue),
            Self::StderrLabel => colour(AnsiColor::BrightRed),
            Self::ReportWarning | Self::Level(Level::Warn) => colour(AnsiColor::Yellow).bold(),
            Self::ReportError | Self::Level(Level::Error) => colour(AnsiColor::Red).bold(),
            Self::User1 => colour(AnsiColor::Green),
            Self::User2 => colour(AnsiColor::Yellow),
            Self::User3 => colour(AnsiColor::Red),
            Self::Level(Level::Info) => colour(AnsiColor::Green),
            Self::Level(Level::Debug) => colour(AnsiColor::Blue),
            Self::Level(Level::Trace) => colour(AnsiColor::Cyan),
        }
    }
}

/// Styles for one stream.
///
/// ```
/// use phalanx_config::style::{Role, Styles};
///
/// let styles = Styles::of(&std::io::stdout());
/// println!("{} is up", styles.paint(Role::Host, "node1"));
/// assert_eq!(Styles::plain().paint(Role::Host, "node1").to_string(), "node1");
/// ```
#[derive(Debug, Clone)]
pub struct Styles {
    coloured: bool,
    changed: HashMap<Role, Style>,
}

impl Styles {
    /// Returns styles without colours and attributes.
    #[must_use]
    pub fn plain() -> Self {
        Self { coloured: false, changed: HashMap::new() }
    }

    /// Returns styles with colours and attributes, for any stream.
    #[must_use]
    pub fn coloured() -> Self {
        Self { coloured: true, changed: HashMap::new() }
    }

    /// Returns styles for a stream: see [`allowed`].
    #[must_use]
    pub fn of(stream: &impl IsTerminal) -> Self {
        Self::when(When::Auto, stream)
    }

    /// Returns styles for a stream, with the choice of a configuration: see [`allowed`].
    #[must_use]
    pub fn when(when: When, stream: &impl IsTerminal) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let coloured = allowed(when, stream.is_terminal(), variable);
        Self { coloured, changed: HashMap::new() }
    }

    /// Sets the style of a role.
    #[must_use]
    pub fn with(mut self, role: Role, style: Style) -> Self {
        self.changed.insert(role, style);
        self
    }

    /// Reports whether colours are used.
    #[must_use]
    pub fn are_coloured(&self) -> bool {
        self.coloured
    }

    /// Returns the style of a role that was given one by [`Styles::with`].
    #[must_use]
    pub fn changed(&self, role: Role) -> Option<Style> {
        self.changed.get(&role).copied()
    }

    /// Returns a text in the style of its role, for display.
    #[must_use]
    pub fn paint<T: fmt::Display>(&self, role: Role, text: T) -> Painted<T> {
        let style = self.coloured.then(|| self.changed.get(&role).copied().unwrap_or_else(|| role.style()));
        Painted { style: style.unwrap_or_default(), text }
    }
}

/// Reports whether a stream gets colours. The first line that applies decides:
///
/// 1. `NO_COLOR` is set and not empty (<https://no-color.org>): no
/// 2. `CLICOLOR_FORCE` is set and neither empty nor 0 (<https://bixense.com/clicolors>): yes
/// 3. a configuration says always or never: as it says
/// 4. `TERM` is `dumb`: no
/// 5. the stream is a terminal: yes
/// 6. otherwise: no
#[must_use]
pub fn allowed(when: When, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && set("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// A text with its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    /// Writes the text in its style. Widths and precisions are those of the text: `{:>10}` counts no escape sequence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.style.render())?;
        self.text.fmt(f)?;
        write!(f, "{}", self.style.render_reset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_their_list() {
        let decide = |when: When, terminal: bool, variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
            allowed(when, terminal, |name| find(name).map(|(_, value)| (*value).to_owned()))
        };
        for (when, terminal, variables, expected) in [
            (When::Auto, true, &[][..], true),
            (When::Auto, false, &[], false),
            (When::Auto, true, &[("NO_COLOR", "1")], false),
            (When::Auto, true, &[("NO_COLOR", "")], true),
            (When::Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
            (When::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (When::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (When::Auto, true, &[("TERM", "dumb")], false),
            (When::Auto, true, &[("TERM", "xterm")], true),
            (When::Always, false, &[("TERM", "dumb")], true),
            (When::Always, true, &[("NO_COLOR", "1")], false),
            (When::Never, true, &[], false),
            (When::Never, false, &[("CLICOLOR_FORCE", "1")], true),
        ] {
            assert_eq!(decide(when, terminal, variables), expected, "{when:?} {terminal} {variables:?}");
        }
    }

    #[test]
    fn a_text_is_painted_in_the_style_of_its_role() {
        let styles = Styles::coloured();
        assert_eq!(styles.paint(Role::Host, "n").to_string(), "\x1b[35mn\x1b[0m");
        assert_eq!(styles.paint(Role::Level(Level::Error), "n").to_string(), "\x1b[1m\x1b[31mn\x1b[0m");
        let changed = styles.with(Role::Host, Style::new().underline());
        assert_eq!(changed.paint(Role::Host, "n").to_string(), "\x1b[4mn\x1b[0m");
        assert_eq!(format!("{:>3}", changed.paint(Role::Host, "n")), "\x1b[4m  n\x1b[0m");
        assert_eq!(format!("{:>3}", Styles::plain().paint(Role::Host, "n")), "  n");
    }
}
