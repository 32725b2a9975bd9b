//! The script for one host of a chain.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::params::ChainParams;
use crate::files::remote_script::{BEGINNING, append_install, append_script, append_words, command, end, quote};
use crate::files::sources::Source;

const NODE: &str = include_str!("node.sh");

/// What the script of one host is told.
pub(super) struct NodeScript<'a> {
    pub(super) mark: &'a str,
    pub(super) position: usize,
    pub(super) token: &'a str,
    pub(super) params: &'a ChainParams,
    pub(super) into: bool,
    pub(super) destination: &'a OsStr,
    pub(super) sources: &'a [Source],
}

impl NodeScript<'_> {
    /// The command that reads the script from stdin, and the script.
    pub(super) fn text(&self) -> (String, Vec<u8>) {
        let Self { mark, position, token, params, into, .. } = self;
        let port = params.port.map(|port| port.to_string()).unwrap_or_default();
        let timeout = params.client_timeout.as_secs().max(1);
        let facts = format!(
            "{BEGINNING}mark={mark}\nposition={position}\ntoken={token}\nport={port}\nclient_timeout={timeout}\ninto={}\nnetcat=",
            u8::from(*into)
        );
        let mut text = facts.into_bytes();
        quote(params.netcat.as_deref().unwrap_or_default().as_bytes(), &mut text);
        text.extend_from_slice(b"\ndestination=");
        quote(self.destination.as_bytes(), &mut text);
        let names: Vec<_> = self.sources.iter().map(|source| source.name.as_bytes()).collect();
        append_words(&names, &mut text);
        append_install(&mut text);
        append_script(NODE, &mut text);
        end(&mut text);
        (command(&text), text)
    }
}
