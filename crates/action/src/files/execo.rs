//! The copies that execo names, as thin constructors of a [`FileCopy`].

use std::ffi::OsString;

use phalanx_process::host::Host;

use super::copy::{FileCopy, Via};
use crate::chain::ChainParams;
use crate::taktuk::TaktukParams;

/// Gives a constructor the shape that execo's actions have: sources, destination, hosts.
macro_rules! constructor {
    ($name:ident, $doc:literal, $direction:ident, $via:expr) => {
        #[doc = $doc]
        #[derive(Debug)]
        pub enum $name {}

        impl $name {
            /// Describes `sources`, their `destination` and the hosts.
            #[expect(clippy::new_ret_no_self, reason = "execo's name for a kind of copy")]
            pub fn new(
                sources: impl IntoIterator<Item = impl Into<OsString>>,
                destination: impl Into<OsString>,
                hosts: impl IntoIterator<Item = impl Into<Host>>,
            ) -> FileCopy {
                FileCopy::$direction(sources, destination).on(hosts).via($via)
            }
        }
    };
}

constructor!(Put, "[`FileCopy::to_hosts`] through ssh.", to_hosts, Via::Ssh);
constructor!(Get, "[`FileCopy::from_hosts`] through ssh.", from_hosts, Via::Ssh);
constructor!(ChainPut, "[`FileCopy::to_hosts`] along a chain.", to_hosts, ChainParams::default());
constructor!(TaktukPut, "[`FileCopy::to_hosts`] through taktuk.", to_hosts, TaktukParams::default());
constructor!(TaktukGet, "[`FileCopy::from_hosts`] through taktuk.", from_hosts, TaktukParams::default());
