//! Inventories of other programs as a group source: Ansible's, in INI, in YAML, or as `ansible-inventory --list` writes them, and the host
//! files of pssh.
//!
//! | in the inventory | here |
//! | --- | --- |
//! | a group `web` | `@web` |
//! | all hosts | `@*`, `@all`; those in no group are `@ungrouped` |
//! | a host `n1` | `n1` and `@n1`, whatever its address is |
//! | `ansible_host`, `ansible_user`, `ansible_port`, of a host or its groups | the address, user and port of the host |
//! | a host with another `ansible_connection` than ssh | left out, with a warning |
//!
//! All other variables mean nothing here. What has a place in the file keeps it, so that every mistake is told with its line; nothing in an
//! inventory is executed or evaluated.

mod ini;
mod ranges;
mod yaml;

use super::host_file;
use super::hosts::{HostListError, Place};
use phalanx_nodeset::{GroupError, GroupSource, illegal_in_group_name, words};
use phalanx_process::host::Host;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What the source is called.
const SOURCE: &str = "inventory";
/// The groups that every inventory has.
const ALL: &str = "all";
const UNGROUPED: &str = "ungrouped";
/// Deeper than anyone nests groups.
const DEEPEST: usize = 64;
/// What `ansible_connection` may be of a host that is reached as hosts are here.
const BY_SSH: [&str; 4] = ["paramiko", "paramiko_ssh", "smart", "ssh"];

/// What a text is, as far as its first telling line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ini,
    Yaml,
    /// A host on each line, and maybe its user: a host file.
    Plain,
}

/// Says what a text is, and by which line from 1.
pub(super) fn kind(text: &str) -> (Kind, usize) {
    for (number, line) in host_file::lines(text) {
        let line = line.trim_end();
        let said = line.trim_start();
        if said.is_empty() || said.starts_with(';') {
            continue;
        }
        let names_a_key = said.ends_with(':') && !said[..said.len() - 1].contains([':', ' ']);
        if said == "---" || said.starts_with('{') || names_a_key {
            return (Kind::Yaml, number);
        }
        let assigns = |word: &str| {
            word.split_once('=').is_some_and(|(name, _)| name.starts_with(|first: char| first.is_alphabetic()))
        };
        if ini::header(said).is_some() || words(said).skip(1).any(assigns) {
            return (Kind::Ini, number);
        }
    }
    (Kind::Plain, 1)
}

/// Where something was said, and the texts it was said with.
#[derive(Debug, Default, Clone)]
pub(super) struct Variables(BTreeMap<String, (String, Option<Place>)>);

impl Variables {
    fn set(&mut self, name: &str, value: &str, place: Option<Place>) {
        // The names that Ansible had before 2.0 mean the same.
        let name = name.replace("ansible_ssh_", "ansible_");
        self.0.insert(name, (value.to_owned(), place));
    }

    fn extend(&mut self, others: &Variables) {
        self.0.extend(others.0.clone());
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn place(&self, name: &str) -> Option<&Place> {
        self.0.get(name).and_then(|(_, place)| place.as_ref())
    }
}

#[derive(Debug, Default)]
struct Group {
    hosts: Vec<String>,
    children: Vec<String>,
    variables: Variables,
}

/// An inventory as it was written: groups and hosts by their names.
#[derive(Debug, Default)]
struct Written {
    groups: BTreeMap<String, Group>,
    /// In the order of the file, each with where it was first named.
    hosts: Vec<(String, Option<Place>)>,
    known: HashSet<String>,
    variables: BTreeMap<String, Variables>,
}

impl Written {
    fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// Adds a host to a group, and what is said of it there.
    fn host(&mut self, group: &str, name: String, variables: &Variables, place: Option<Place>) {
        if self.known.insert(name.clone()) {
            self.hosts.push((name.clone(), place));
        }
        self.variables.entry(name.clone()).or_default().extend(variables);
        self.group(group).hosts.push(name);
    }
}

/// An inventory, read: the hosts of every group, as node sets.
#[derive(Debug)]
pub struct Inventory {
    groups: BTreeMap<String, String>,
    /// The hosts by their own names, which need not be their addresses.
    aliases: BTreeMap<String, String>,
    /// The other way: their own names by what they are here.
    names: HashMap<String, Vec<String>>,
}

impl Inventory {
    /// The host of that name, as `user@address:port` or less.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&str> {
        self.aliases.get(name).map(String::as_str)
    }

    /// The names of a host in the inventory.
    pub fn names(&self, host: &str) -> impl Iterator<Item = &str> {
        self.names.get(host).into_iter().flatten().map(String::as_str)
    }

    /// Reads an inventory from a file; `-` is stdin.
    ///
    /// # Errors
    /// When it cannot be read, or is no inventory.
    pub fn from_file(path: &str) -> Result<Self, HostListError> {
        Inventory::from_bytes(host_file::read(path)?, if path == "-" { "stdin" } else { path })
    }

    /// Reads the content of an inventory. Mistakes are said to be in the file of that name.
    ///
    /// # Errors
    /// When it is no inventory.
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, HostListError> {
        let text = host_file::decode(bytes, name)?;
        let written = match kind(&text).0 {
            Kind::Ini => ini::read(&text, name)?,
            Kind::Yaml => yaml::read(&text, name)?,
            Kind::Plain => pssh(&text, name)?,
        };
        Inventory::resolve(written, name)
    }

    fn resolve(written: Written, name: &str) -> Result<Self, HostListError> {
        let whole = || Place { file: name.into(), line: 1, column: 1 };
        let wrong = |place: Option<&Place>, what: String| {
            Err(HostListError::Text { place: place.cloned().unwrap_or_else(whole), what })
        };
        if let Some(group) = written.groups.keys().find(|group| illegal_in_group_name(group).is_some()) {
            return wrong(
                None,
                format!("the group `{group}` has a character in its name that means something in a node set"),
            );
        }
        let depths = match depths(&written) {
            Ok(depths) => depths,
            Err(what) => return wrong(None, what),
        };
        let members = members(&written);
        let mut within: Vec<Vec<&str>> = vec![Vec::new(); written.hosts.len()];
        for (group, hosts) in &members {
            hosts.iter().for_each(|host| within[*host].push(group));
        }
        // By their place in the file, those that are left out being none.
        let mut hosts: Vec<Option<String>> = Vec::with_capacity(written.hosts.len());
        for ((alias, place), mut within) in written.hosts.iter().zip(within) {
            // Of groups, the deeper one has the last word; of two as deep, the later in the alphabet, as in Ansible.
            within.sort_by_key(|group| (depths.get(group).copied().unwrap_or(0), *group));
            let groups = within.into_iter().filter_map(|group| written.groups.get(group)).map(|group| &group.variables);
            let mut variables = Variables::default();
            groups.chain(written.variables.get(alias)).for_each(|more| variables.extend(more));
            if let Some(connection) = variables.get("ansible_connection").filter(|way| !BY_SSH.contains(way)) {
                log::warn!("`{alias}` of {name} is left out: it is reached by {connection} and not by ssh");
                hosts.push(None);
                continue;
            }
            match host(alias, &variables) {
                Ok(host) => hosts.push(Some(host.to_string())),
                Err((of, what)) => return wrong(variables.place(of).or(place.as_ref()), what),
            }
        }
        let set = |members: BTreeSet<usize>| {
            members.into_iter().filter_map(|host| hosts[host].as_deref()).collect::<Vec<_>>().join("\n")
        };
        let groups = members.into_iter().map(|(group, members)| (group, set(members))).collect();
        let named = written.hosts.into_iter().zip(&hosts);
        let aliases: BTreeMap<String, String> =
            named.filter_map(|((alias, _), host)| Some((alias, host.clone()?))).collect();
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        for (alias, host) in &aliases {
            names.entry(host.clone()).or_default().push(alias.clone());
        }
        Ok(Inventory { groups, aliases, names })
    }
}

/// The hosts of every group and of its children, by their place in the file.
fn members(written: &Written) -> BTreeMap<String, BTreeSet<usize>> {
    let places: HashMap<&str, usize> =
        written.hosts.iter().enumerate().map(|(at, (alias, _))| (alias.as_str(), at)).collect();
    let mut members = BTreeMap::new();
    let mut grouped = BTreeSet::new();
    for name in written.groups.keys() {
        let mut hosts = BTreeSet::new();
        for group in family(written, name) {
            hosts.extend(group.hosts.iter().filter_map(|alias| places.get(alias.as_str())));
        }
        if name != ALL && name != UNGROUPED {
            grouped.extend(hosts.iter().copied());
        }
        members.insert(name.clone(), hosts);
    }
    let everyone: BTreeSet<usize> = (0..written.hosts.len()).collect();
    members.insert(UNGROUPED.to_owned(), everyone.difference(&grouped).copied().collect());
    members.insert(ALL.to_owned(), everyone);
    members
}

/// A group and all that are below it, each once.
fn family<'a>(written: &'a Written, name: &'a str) -> Vec<&'a Group> {
    let (mut found, mut waiting, mut seen) = (Vec::new(), vec![name], HashSet::new());
    while let Some(next) = waiting.pop() {
        let Some(group) = written.groups.get(next).filter(|_| seen.insert(next)) else { continue };
        waiting.extend(group.children.iter().map(String::as_str));
        found.push(group);
    }
    found
}

/// How deep each group is below `all`, by the longest way. An error says what is wrong with their nesting.
fn depths(written: &Written) -> Result<BTreeMap<&str, usize>, String> {
    let mut depths: BTreeMap<&str, usize> =
        written.groups.keys().map(|name| (name.as_str(), usize::from(name != ALL))).collect();
    let mut settled = false;
    while !settled {
        settled = true;
        for (name, group) in &written.groups {
            let below = depths[name.as_str()] + 1;
            for child in &group.children {
                let Some(depth) = depths.get_mut(child.as_str()).filter(|depth| **depth < below) else { continue };
                *depth = below;
                settled = false;
                // Of a circle, too, the depth has no end.
                if below > DEEPEST {
                    return Err(too_deep(written, name));
                }
            }
        }
    }
    Ok(depths)
}

fn too_deep(written: &Written, name: &str) -> String {
    if family(written, name).iter().any(|group| group.children.iter().any(|child| child == name)) {
        return format!("the group `{name}` is among its own children");
    }
    format!("the group `{name}` is nested more than {DEEPEST} deep")
}

/// The host of a name, as its variables say; or what is wrong, and with which of them.
fn host(alias: &str, variables: &Variables) -> Result<Host, (&'static str, String)> {
    let wrong = |of, error: &dyn std::fmt::Display| (of, format!("of the host `{alias}`: {error}"));
    let mut host: Host = alias.parse().map_err(|error| wrong("", &error))?;
    if let Some(address) = variables.get("ansible_host") {
        // Taken apart by the one parser of hosts; a user or a port in it is not what Ansible means.
        let mut stated: Host = address.parse().map_err(|error| wrong("ansible_host", &error))?;
        if stated != Host::new(stated.address()) {
            return Err(wrong("ansible_host", &format!("`{address}` is not an address alone")));
        }
        (stated.user, stated.port) = (host.user, host.port);
        host = stated;
    }
    if let Some(user) = variables.get("ansible_user") {
        host = host.with_user(user);
    }
    if let Some(port) = variables.get("ansible_port") {
        let number = port.parse().ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| wrong("ansible_port", &format!("`{port}` is not a port from 1 to 65535")))?;
        host = host.with_port(number);
    }
    let text = host.to_string();
    if text.parse().as_ref() != Ok(&host) || text.contains([',', '=']) {
        return Err(wrong("ansible_user", &format!("`{}` cannot be a host here", text.escape_debug())));
    }
    Ok(host)
}

/// The host files of pssh: a host on each line, and maybe its user.
fn pssh(text: &str, name: &str) -> Result<Written, HostListError> {
    let mut written = Written::default();
    for (line, said) in host_file::lines(text) {
        let at = Place { file: name.into(), line, column: said.len() - said.trim_start().len() + 1 };
        let mut columns = said.split_whitespace();
        let Some(host) = columns.next() else { continue };
        let mut variables = Variables::default();
        if let Some(user) = columns.next() {
            variables.set("ansible_user", user, Some(at.clone()));
        }
        if columns.next().is_some() {
            let what =
                "a host file of pssh has a host on each line and maybe its user, and this is no inventory of Ansible";
            return Err(HostListError::Text { place: at, what: what.to_owned() });
        }
        for host in ranges::expand(host).map_err(|what| HostListError::Text { place: at.clone(), what })? {
            written.host(ALL, host, &variables, Some(at.clone()));
        }
    }
    Ok(written)
}

impl GroupSource for Inventory {
    fn name(&self) -> &str {
        SOURCE
    }

    fn nodes(&self, group: &str) -> Result<Option<String>, GroupError> {
        Ok(self.groups.get(group).or_else(|| self.aliases.get(group)).cloned())
    }

    fn groups(&self) -> Result<Vec<String>, GroupError> {
        Ok(self.groups.keys().cloned().collect())
    }

    fn all(&self) -> Result<Option<String>, GroupError> {
        self.nodes(ALL)
    }
}
