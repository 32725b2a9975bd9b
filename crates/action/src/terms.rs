//! On what terms an action meets its hosts: what the builders of such actions are told alike.

use phalanx_process::spec::Policy;
use phalanx_process::ssh::SshOptions;

use crate::rollout::Rollout;
use crate::substitute::Lists;

/// What does not depend on what is done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    pub(crate) params: SshOptions,
    pub(crate) policy: Policy,
    pub(crate) lists: Lists,
    pub(crate) rollout: Rollout,
    /// `None` for the name that the builder makes.
    pub(crate) name: Option<String>,
}

/// Gives a builder the methods that set its terms, in the field `terms` or in another, of a part of it, which is named. Not a trait: that would have to be imported by
/// whoever calls them.
macro_rules! set_terms {
    ($builder:ident) => {
        $crate::terms::set_terms!($builder, terms);
    };
    ($builder:ident, $($field:ident).+) => {
        impl $builder {
            /// How to reach the hosts.
            #[must_use]
            pub fn params(mut self, params: phalanx_process::ssh::SshOptions) -> Self {
                self.$($field).+.params = params;
                self
            }

            /// How each process is treated.
            #[must_use]
            pub fn policy(mut self, policy: phalanx_process::spec::Policy) -> Self {
                self.$($field).+.policy = policy;
                self
            }

            /// The values of `{{name}}`; see [`crate::substitute`].
            #[must_use]
            pub fn lists(mut self, lists: $crate::substitute::Lists) -> Self {
                self.$($field).+.lists = lists;
                self
            }

            /// How many hosts work at once; zero for all.
            #[must_use]
            pub fn fanout(mut self, fanout: usize) -> Self {
                self.$($field).+.rollout.fanout = fanout;
                self
            }

            /// How hosts are started, and what failures lead to.
            #[must_use]
            pub fn rollout(mut self, rollout: $crate::rollout::Rollout) -> Self {
                self.$($field).+.rollout = rollout;
                self
            }

            /// What to call it in reports, instead of a name made of what it does.
            #[must_use]
            pub fn named(mut self, name: impl Into<String>) -> Self {
                self.$($field).+.name = Some(name.into());
                self
            }
        }
    };
}
pub(crate) use set_terms;
