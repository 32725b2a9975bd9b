//! Ansible's YAML inventories, and the JSON of `ansible-inventory --list`, which is YAML too: groups of `hosts`, `children` and `vars`, in
//! which `hosts` and `children` are mappings, or lists of names.

use super::super::hosts::{HostListError, Place};
use super::super::yaml;
use super::{ALL, Variables, Written, ranges};
use saphyr::{Scalar, Yaml};

/// Deeper than any inventory nests its groups.
const DEEPEST: usize = 64;

pub(super) fn read(text: &str, name: &str) -> Result<Written, HostListError> {
    let document = yaml::load(text).map_err(|error| {
        let place = Place { file: name.into(), line: error.line, column: error.column };
        HostListError::Text { place, what: error.what }
    })?;
    let mut written = Written::default();
    let result = match &document {
        Some(Yaml::Mapping(groups)) => groups.iter().try_for_each(|(group, inside)| {
            let group = key(group, "")?;
            if group == "_meta" {
                meta(inside, &mut written)
            } else {
                self::group(&group, &group, inside, 0, &mut written)
            }
        }),
        None => Ok(()),
        Some(_) => Err("an inventory in YAML is a mapping of groups".to_owned()),
    };
    let place = Place { file: name.into(), line: 1, column: 1 };
    result.map_err(|what| HostListError::Text { place, what })?;
    Ok(written)
}

fn group(name: &str, path: &str, inside: &Yaml<'_>, depth: usize, written: &mut Written) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("`{path}`: groups are nested more than {DEEPEST} deep"));
    }
    written.group(name);
    let Yaml::Mapping(parts) = inside else {
        return if is_null(inside) {
            Ok(())
        } else {
            Err(format!("`{path}` is not a mapping of hosts, children and vars"))
        };
    };
    for (part, content) in parts {
        let part = key(part, path)?;
        let path = format!("{path}.{part}");
        match part.as_str() {
            "hosts" => hosts(name, &path, content, written)?,
            "vars" => {
                let variables = variables(content, &path)?;
                written.group(name).variables.extend(&variables);
            }
            "children" => children(name, &path, content, depth, written)?,
            _ => return Err(format!("`{path}` is none of hosts, children and vars, which a group has")),
        }
    }
    Ok(())
}

fn hosts(group: &str, path: &str, content: &Yaml<'_>, written: &mut Written) -> Result<(), String> {
    let mut add = |pattern: &str, variables: &Variables| {
        let names = ranges::expand(pattern).map_err(|why| format!("`{path}`: {why}"))?;
        names.into_iter().for_each(|host| written.host(group, host, variables, None));
        Ok::<(), String>(())
    };
    match content {
        Yaml::Mapping(hosts) => hosts.iter().try_for_each(|(host, inside)| {
            let host = key(host, path)?;
            add(&host, &variables(inside, &format!("{path}.{host}"))?)
        }),
        Yaml::Sequence(hosts) => hosts.iter().try_for_each(|host| add(&key(host, path)?, &Variables::default())),
        other if is_null(other) => Ok(()),
        _ => Err(format!("`{path}` is not a mapping of hosts")),
    }
}

fn children(group: &str, path: &str, content: &Yaml<'_>, depth: usize, written: &mut Written) -> Result<(), String> {
    match content {
        Yaml::Mapping(children) => children.iter().try_for_each(|(child, inside)| {
            let child = key(child, path)?;
            written.group(group).children.push(child.clone());
            self::group(&child, &format!("{path}.{child}"), inside, depth + 1, written)
        }),
        Yaml::Sequence(children) => children.iter().try_for_each(|child| {
            let child = key(child, path)?;
            written.group(&child);
            written.group(group).children.push(child);
            Ok(())
        }),
        other if is_null(other) => Ok(()),
        _ => Err(format!("`{path}` is not a mapping of groups")),
    }
}

/// The variables of hosts, which `ansible-inventory --list` writes apart from them.
fn meta(content: &Yaml<'_>, written: &mut Written) -> Result<(), String> {
    let Some(Yaml::Mapping(hosts)) = content.as_mapping_get("hostvars") else { return Ok(()) };
    hosts.iter().try_for_each(|(host, inside)| {
        let host = key(host, "_meta.hostvars")?;
        let variables = variables(inside, &format!("_meta.hostvars.{host}"))?;
        written.variables.entry(host).or_default().extend(&variables);
        Ok(())
    })
}

/// The variables that are one value each; what is more means nothing here.
fn variables(content: &Yaml<'_>, path: &str) -> Result<Variables, String> {
    let mut variables = Variables::default();
    match content {
        Yaml::Mapping(pairs) => {
            for (name, value) in pairs {
                let name = key(name, path)?;
                if let Some(value) = scalar(value) {
                    variables.set(&name, &value, None);
                } else if is_null(value) {
                    variables.set(&name, "", None);
                }
            }
            Ok(variables)
        }
        other if is_null(other) => Ok(variables),
        _ => Err(format!("`{path}` is not a mapping of variables")),
    }
}

fn key(yaml: &Yaml<'_>, path: &str) -> Result<String, String> {
    scalar(yaml).ok_or_else(|| format!("a name below `{}` is not a text", if path.is_empty() { ALL } else { path }))
}

fn scalar(yaml: &Yaml<'_>) -> Option<String> {
    match yaml {
        Yaml::Value(Scalar::String(text)) => Some(text.to_string()),
        Yaml::Value(Scalar::Integer(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn is_null(yaml: &Yaml<'_>) -> bool {
    matches!(yaml, Yaml::Value(Scalar::Null))
}
