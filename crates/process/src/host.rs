//! Names a host, and what is particular about reaching it. Knows no ssh: how a host becomes arguments is the business
//! of [`crate::ssh`].

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::visible::visible;

/// One setting of a host: how it is reached in one respect.
///
/// Three answers, not two: "ask the options" differs from "use none, whatever the options say".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Setting<T> {
    /// The [`SshOptions`](crate::ssh::SshOptions) decide (execo's `False`).
    #[default]
    Inherit,
    /// None is to be given, even if the options have one (execo's `None`, as documented); the user's ssh configuration
    /// decides.
    Clear,
    /// This one.
    Value(T),
}

impl<T> Setting<T> {
    /// What is used when the parameters say `otherwise`.
    #[must_use]
    pub fn or<'a>(&'a self, otherwise: Option<&'a T>) -> Option<&'a T> {
        match self {
            Self::Inherit => otherwise,
            Self::Clear => None,
            Self::Value(value) => Some(value),
        }
    }
}

/// A host: its address, and the user, key and port that are particular to it. Two hosts are equal if all four are.
///
/// A text means the same wherever a host is wanted: `"root@node1:2222".into()` is what `"root@node1:2222".parse()` is. A
/// text that names no host cannot be refused by a conversion; it becomes the address as it stands, and starting
/// anything there is an error, see [`Host::check`].
///
/// ```
/// use phalanx_process::host::{Setting, Host};
///
/// let host: Host = "root@[2001:db8::1]:2222".parse()?;
/// assert_eq!(host.address(), "2001:db8::1");
/// assert_eq!(host, Host::new("2001:db8::1").with_user("root").with_port(2222));
/// assert_eq!(Host::new("node1").without_port().port, Setting::Clear);
/// # Ok::<(), phalanx_process::host::InvalidHost>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    address: String,
    /// The remote user.
    pub user: Setting<String>,
    /// The private key.
    pub identity_file: Setting<PathBuf>,
    /// The remote port.
    pub port: Setting<u16>,
}

impl Host {
    /// A host with nothing particular about it. The address is a name, an alias of the user's ssh configuration, or an
    /// IP address without brackets; it is not taken apart. See [`Host::from_str`] for that.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            user: Setting::Inherit,
            identity_file: Setting::Inherit,
            port: Setting::Inherit,
        }
    }

    /// Checks that the address can be one, and that no program could take it or the user for an option.
    ///
    /// # Errors
    /// When not; says why.
    pub fn check(&self) -> Result<(), InvalidHost> {
        let user = if let Setting::Value(user) = &self.user { Some(user.as_str()) } else { None };
        let text = || user.map_or_else(|| self.address.clone(), |user| format!("{user}@{}", self.address));
        check_parts(user, &self.address).map_err(|reason| InvalidHost { text: fit_to_show(&text()), reason })
    }

    /// Its name or IP address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// With this user.
    #[must_use]
    pub fn with_user(self, user: impl Into<String>) -> Self {
        Self { user: Setting::Value(user.into()), ..self }
    }

    /// With no user given, even if the parameters have one.
    #[must_use]
    pub fn without_user(self) -> Self {
        Self { user: Setting::Clear, ..self }
    }

    /// With this private key.
    #[must_use]
    pub fn with_identity_file(self, identity_file: impl Into<PathBuf>) -> Self {
        Self { identity_file: Setting::Value(identity_file.into()), ..self }
    }

    /// With no private key given, even if the parameters have one.
    #[must_use]
    pub fn without_identity_file(self) -> Self {
        Self { identity_file: Setting::Clear, ..self }
    }

    /// With this port.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port: Setting::Value(port), ..self }
    }

    /// With no port given, even if the parameters have one.
    #[must_use]
    pub fn without_port(self) -> Self {
        Self { port: Setting::Clear, ..self }
    }
}

impl From<&str> for Host {
    /// As it is parsed, see [`Host::from_str`]; a text that names no host is the address.
    fn from(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| Self::new(text))
    }
}

impl From<String> for Host {
    /// As from a `&str`.
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Host {
    /// As from a `&str`.
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Host> for Host {
    fn from(host: &Host) -> Self {
        host.clone()
    }
}

impl fmt::Display for Host {
    /// As it can be parsed again, the key left out: `root@node1:22`, `[::1]:22`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Setting::Value(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match &self.port {
            Setting::Value(port) => write!(f, "{}:{port}", bracketed(&self.address)),
            Setting::Inherit | Setting::Clear => f.write_str(&self.address),
        }
    }
}

/// An address as it stands before a colon: IPv6 addresses, which have colons of their own, in brackets.
pub(crate) fn bracketed(address: &str) -> std::borrow::Cow<'_, str> {
    if address.contains(':') { format!("[{address}]").into() } else { address.into() }
}

/// The text names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a host: {reason}")]
pub struct InvalidHost {
    /// As given, fit for a terminal.
    text: String,
    reason: Reason,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("{0}; write [USER@]ADDRESS[:PORT], an IPv6 address before a port in brackets")]
    Shape(&'static str),
    #[error(
        "it begins with a dash, which programs take for an option; a list leaves a host out with `!`, the command line with -x"
    )]
    Dash,
    #[error("a part of it begins with a dash, which programs take for an option")]
    DashInside,
    #[error("it has a blank in it; write commas between hosts")]
    Blank,
    #[error("it has the character {0:?}; names have letters, digits and ._-:@%+=,[]")]
    Character(char),
    #[error("it is longer than {LONGEST} bytes, as no name of a host is")]
    Long,
    #[error("it consists of dots")]
    Dots,
    #[error("`{0}:` is how pdsh is told to reach a host; here -R says how, and the host is written without it")]
    PdshModule(&'static str),
}

/// With `.out` behind it, still the name of a file; longer than any name of the domain name system.
const LONGEST: usize = 250;

/// What stands before a colon in front of a host for pdsh, beside `ssh`.
const PDSH_MODULES: [&str; 8] = ["exec", "krb4", "mqsh", "mrsh", "qsh", "rsh", "xcpu", "xpoll"];

/// Returns a text from elsewhere for an error message: visible, and shortened.
fn fit_to_show(text: &str) -> String {
    const MOST: usize = 80;
    let begin: String = text.chars().take(MOST).collect();
    let mut shown = visible(&begin).into_owned();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// What follows pdsh's `ssh:`, for `ssh:root@node1` means the same here. A host called `ssh` may have a port.
fn without_pdsh_prefix(text: &str) -> &str {
    match text.strip_prefix("ssh:") {
        Some(rest) if !is_number(rest) && !rest.is_empty() => rest,
        _ => text,
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for Host {
    type Err = InvalidHost;

    /// `[USER@]ADDRESS[:PORT]`, wherever a host is written: for every verb, in files, groups and plans.
    ///
    /// 1. the user is what stands before the last `@`, as with ssh: a user may have one in its name
    /// 2. an address in brackets is an IPv6 address, with its zone if it has one
    /// 3. an address with more than one colon is an IPv6 address without a port
    /// 4. otherwise the port stands behind the colon
    /// 5. pdsh's `ssh:` before all that is left out
    ///
    /// A host's name becomes an argument of ssh, a part of shell commands and a file name: what could be an option, a piece of shell
    /// syntax or a path is refused, as is what no system has for a name.
    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        parse(without_pdsh_prefix(text)).map_err(|reason| InvalidHost { text: fit_to_show(text), reason })
    }
}

fn parse(text: &str) -> Result<Host, Reason> {
    if text.starts_with('-') {
        return Err(Reason::Dash);
    }
    if text.len() > LONGEST {
        return Err(Reason::Long);
    }
    check_characters(text)?;
    if let Some((before, after)) = text.split_once(':')
        && let Some(module) = PDSH_MODULES.into_iter().find(|module| *module == before)
        && !is_number(after)
    {
        return Err(Reason::PdshModule(module));
    }
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (address, port) = split_port(rest).map_err(Reason::Shape)?;
    check_parts(user, address)?;
    let mut host = Host::new(address);
    host.user = user.map_or(Setting::Inherit, |user| Setting::Value(user.to_owned()));
    if let Some(port) = port {
        let number = port.parse().ok().filter(|number| *number > 0 && is_number(port));
        host.port = Setting::Value(number.ok_or(Reason::Shape("its port is not a number from 1 to 65535"))?);
    }
    Ok(host)
}

/// Checks what a host is made of, however it was put together.
fn check_parts(user: Option<&str>, address: &str) -> Result<(), Reason> {
    for (part, reason) in [(user, "its user is empty"), (Some(address), "its address is empty")] {
        if part.is_some_and(str::is_empty) {
            return Err(Reason::Shape(reason));
        }
    }
    if [user, Some(address)].into_iter().flatten().any(|part| part.starts_with('-')) {
        return Err(Reason::DashInside);
    }
    let before_zone = address.split('%').next().unwrap_or_default();
    if address.contains(':') && !before_zone.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)) {
        return Err(Reason::Shape("it has more than one colon and is no IPv6 address"));
    }
    if address.bytes().all(|byte| byte == b'.') {
        return Err(Reason::Dots);
    }
    check_characters(address)?;
    // Users that are not written before an address may have more in their names: those of a Windows domain have a backslash.
    match user.unwrap_or_default().chars().find(|char| char.is_whitespace() || char.is_control()) {
        Some(wrong) => Err(Reason::Character(wrong)),
        None => Ok(()),
    }
}

fn check_characters(text: &str) -> Result<(), Reason> {
    let allowed = |char: &char| char.is_alphanumeric() || "._-:@%+=,[]".contains(*char);
    match text.chars().find(|char| !allowed(char)) {
        None => Ok(()),
        Some(wrong) if wrong.is_whitespace() => Err(Reason::Blank),
        Some(wrong) => Err(Reason::Character(wrong)),
    }
}

/// The address, without its brackets, and the port.
fn split_port(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("its bracket is not closed")?;
        return match rest.strip_prefix(':') {
            _ if rest.is_empty() => Ok((address, None)),
            Some(port) => Ok((address, Some(port))),
            None => Err("after its bracket comes something else than a colon"),
        };
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => Ok((address, Some(port))),
        _ => Ok((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn hosts_are_taken_apart_and_shown_again() {
        for (text, host) in [
            ("node1", Host::new("node1")),
            ("root@node1", Host::new("node1").with_user("root")),
            ("node1:22", Host::new("node1").with_port(22)),
            ("a@b@node1:65535", Host::new("node1").with_user("a@b").with_port(65535)),
            ("::1", Host::new("::1")),
            ("root@fe80::1%eth0", Host::new("fe80::1%eth0").with_user("root")),
            ("[::1]:2222", Host::new("::1").with_port(2222)),
            ("127.0.0.1:1", Host::new("127.0.0.1").with_port(1)),
        ] {
            assert_eq!(text.parse(), Ok(host.clone()), "{text}");
            assert_eq!(host.to_string(), text);
        }
        assert_eq!("[::1]".parse(), Ok(Host::new("::1")));
        assert_eq!("root@[::1]".parse(), Ok(Host::new("::1").with_user("root")));
        assert_eq!("[node1]:22".parse(), Ok(Host::new("node1").with_port(22)));
    }

    #[test]
    fn what_names_no_host_is_refused_with_the_reason() {
        for (text, said) in [
            ("", "address is empty"),
            ("root@", "address is empty"),
            ("@node1", "user is empty"),
            (":22", "address is empty"),
            ("[]:22", "address is empty"),
            ("[::1", "not closed"),
            ("[::1]22", "something else"),
            ("node1:", "port"),
            ("node1:0", "port"),
            ("node1:+22", "port"),
            ("node1:65536", "port"),
            ("node1:ssh", "port"),
            ("node1:22:23", "no IPv6 address"),
            ("ssh:ssh:n1", "port"),
            ("ssh:ssh:n1::1", "no IPv6 address"),
            ("[n1:2]:22", "no IPv6 address"),
            ("-oProxyCommand=x", "dash"),
            ("-l@node1", "dash"),
            ("root@-x", "dash"),
            ("node 1", "blank"),
            ("node1\0", "'\\0'"),
            ("node1\u{1b}[31m", "'\\u{1b}'"),
            ("node1;reboot", "';'"),
            ("a/b", "'/'"),
            ("$(x)", "'$'"),
            ("..", "dots"),
            ("-node2", "with -x"),
            (&"n".repeat(251), "longer than 250"),
            ("rsh:node1", "`rsh:` is how pdsh"),
            ("exec:root@node1", "`exec:` is how pdsh"),
        ] {
            let error = text.parse::<Host>().expect_err(text).to_string();
            assert!(error.contains(said), "{error}");
            assert!(error.len() < 600 && !error.contains(char::is_control), "{error:?}");
            assert_eq!(Host::from(text), Host::new(text), "a conversion cannot refuse it");
        }
    }

    #[test]
    fn a_text_means_the_same_wherever_a_host_is_wanted() {
        for text in ["node1", "root@node1", "node1:22", "[::1]:2222", "root@[fe80::1%eth0]:22", "::1"] {
            let parsed: Host = text.parse().expect("it names a host");
            assert_eq!(
                (Host::from(text), Host::from(text.to_owned()), Host::from(&text.to_owned())),
                (parsed.clone(), parsed.clone(), parsed.clone())
            );
            assert_eq!(parsed.check(), Ok(()));
        }
        let option = Host::new("node1").with_user("-oProxyCommand=x");
        assert!(option.check().is_err() && Host::new("-x").check().is_err() && Host::new("").check().is_err());
        assert!(Host::new("n1;reboot").check().is_err() && Host::new("..").check().is_err());
        assert_eq!(Host::new("n1").with_user("LAB\\joe").check(), Ok(()));
    }

    #[test]
    fn what_pdsh_says_before_a_host_is_understood_when_it_is_ssh() {
        assert_eq!("ssh:root@node1".parse(), Ok(Host::new("node1").with_user("root")));
        assert_eq!("ssh:node1".parse(), Ok(Host::new("node1")));
        assert_eq!("ssh:22".parse(), Ok(Host::new("ssh").with_port(22)));
        assert_eq!("rsh:22".parse(), Ok(Host::new("rsh").with_port(22)));
    }

    /// Items 148 to 152, 170 and 171: lists and sets of hosts are what they collect into.
    #[test]
    fn hosts_are_equal_if_all_four_fields_are() {
        let plain = Host::new("n");
        let all = [
            plain.clone(),
            plain.clone().with_user("u"),
            plain.clone().without_user(),
            plain.clone().with_identity_file("k"),
            plain.clone().without_identity_file(),
            plain.clone().with_port(1),
            plain.clone().without_port(),
            Host::new("m"),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(Host::from("n"), plain);
        assert_eq!(Host::from(&plain), plain);
    }

    #[test]
    fn nothing_is_not_the_same_as_unset() {
        assert_eq!(Setting::Inherit.or(Some(&1)), Some(&1));
        assert_eq!(Setting::Clear.or(Some(&1)), None);
        assert_eq!(Setting::Value(2).or(Some(&1)), Some(&2));
    }

    proptest::proptest! {
        /// Whatever is accepted means the same when it is shown and read again, and no part of it is an option.
        #[test]
        fn whatever_is_a_host_can_be_shown_and_read_again(text in "[-a@:\\[\\]1.%\\PC]{0,12}") {
            if let Ok(host) = text.parse::<Host>() {
                proptest::prop_assert!(!host.address().is_empty() && !host.address().starts_with('-'));
                proptest::prop_assert_eq!(host.to_string().parse(), Ok(host));
            }
        }
    }
}
