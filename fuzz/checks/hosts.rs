//! What must hold for any bytes at all that are read as a host file, shared by the fuzz target and by the tests of `phalanx-config`.

use phalanx_config::groups::{HostListError, Inventory, NodeList, Place};
use phalanx_nodeset::{GroupSource, Parser};
use phalanx_process::host::Host;
use std::collections::HashSet;

/// Beyond, the names of a list are not looked at one by one: a short text can mean a million million hosts.
const MOST_HOSTS: u128 = 10_000;

/// Bytes read as a host file: no panic, names that are hosts, each once, and mistakes with a place within the bytes.
pub(crate) fn any_bytes(bytes: &[u8]) {
    let list = match NodeList::from_bytes(bytes.to_vec(), "f") {
        Ok(list) => list,
        Err(error) => return check(&error, bytes),
    };
    let parser = Parser::new();
    let set = match list.set(&parser) {
        Ok(set) => set,
        Err(error) => return check(&error, bytes),
    };
    if set.count() > MOST_HOSTS {
        return;
    }
    match list.hosts(&parser) {
        Ok(hosts) => {
            let different: HashSet<&String> = hosts.iter().collect();
            assert!(different.len() == hosts.len() && hosts.len() as u128 <= set.count(), "{hosts:?}");
            hosts.iter().for_each(|name| host(name));
        }
        Err(error) => check(&error, bytes),
    }
}

/// Bytes read as an inventory: no panic, hosts that are hosts, and mistakes with a place within the bytes.
pub(crate) fn any_inventory(bytes: &[u8]) {
    match Inventory::from_bytes(bytes.to_vec(), "f") {
        Ok(inventory) => {
            let all = inventory.all().expect("it is in memory").expect("every inventory has all");
            let known: HashSet<&str> = all.lines().collect();
            all.lines().for_each(host);
            for group in inventory.groups().expect("it is in memory") {
                let hosts = inventory.nodes(&group).expect("it is in memory").expect("it is listed");
                assert!(hosts.lines().all(|host| known.contains(host)), "{group}");
            }
        }
        Err(error) => check(&error, bytes),
    }
}

/// A name becomes an argument, a part of a command and the name of a file.
fn host(name: &str) {
    let host: Host = name.parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(host.to_string(), name);
    let harmful = |char: char| char.is_control() || char.is_whitespace() || "/\\'\"`$;&|<>(){}*?!#~^".contains(char);
    assert!(!name.contains(harmful) && !name.starts_with('-') && !host.address().starts_with('-'), "{name:?}");
    assert!(name.len() <= 260 && name != "." && name != "..", "{name:?}");
}

fn check(error: &HostListError, bytes: &[u8]) {
    let said = error.to_string();
    assert!(!said.contains(char::is_control), "{said:?}");
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    let within = |place: &Place| {
        assert!((1..=lines).contains(&place.line()) && (1..=bytes.len() + 1).contains(&place.column()), "{said}");
    };
    match error {
        HostListError::Text { place, .. } => within(place),
        HostListError::NodeSet { place, .. } | HostListError::Host { place, .. } => place.iter().for_each(within),
        other => panic!("{other}"),
    }
}
