//! Keys that users of execo may write, and keys in the wrong section: recognised, and answered.

use super::keys::KEYS;
use crate::toml_doc::Table;

/// Keys of execo that have another name here, or are not needed, and what to write instead.
const OF_EXECO: &[(&str, &str, &str)] = &[
    ("fileput_tool", "it has another name here", "write put_tool"),
    ("fileget_tool", "it has another name here", "write get_tool"),
    ("color_mode", "it has another name here", "write color = \"always\" or \"never\""),
    ("color_styles", "it has another name here", "write [styles], and for each a text such as \"bold red\""),
    ("host_rewrite_func", "a file holds no code", "write host_rewrite = \"{{{host}}}.example.org\" below [connection]"),
    ("taktuk_options", "it has another name here", "write options below [taktuk]"),
    ("taktuk_connector", "it has another name here", "write connector below [taktuk]"),
    ("taktuk_connector_options", "it has another name here", "write connector_options below [taktuk]"),
    ("nc", "it has another name here", "write netcat below [chain]"),
    ("chainput_nc_client_timeout", "it has another name here", "write client_timeout below [chain]"),
    ("chainput_nc_server_timeout", "it has another name here", "write server_timeout below [chain]"),
    ("chainput_host_retry", "it has another name here", "write host_retry below [chain]"),
    ("chainput_chain_retry", "it has another name here", "write chain_retry below [chain]"),
    ("chainput_try_delay", "it has another name here", "write try_delay below [chain]"),
    ("intr_period", "nothing waits in slices here: Ctrl-C is noticed at once", "leave it out"),
    ("kill_childs_at_end", "no child outlives the program here, however that ends", "leave it out"),
    ("configuration", "its keys have no table around them here", "write them at the top of the file"),
    ("default_connection_params", "it has another name here", "write [connection]"),
];

/// Reports keys that do not belong into this section; empty for the top of the file.
pub(super) fn refuse(table: Table<'_>, section: &str) {
    for (key, wrong, instead) in OF_EXECO {
        table.refuse(key, wrong, instead);
    }
    if section == "connection" {
        // At the top it is the section.
        table.refuse("taktuk", "it has another name here", "write program below [taktuk]");
    }
    let own = |name: &str| KEYS.iter().any(|key| key.parts() == (section, name));
    // The names in the other sections are ordinary words, and could be meant for anything.
    let known = KEYS.iter().map(|key| key.parts()).filter(|(home, _)| ["", "connection"].contains(home));
    for (home, name) in known.filter(|(_, name)| !own(name)) {
        let instead = match home {
            "" => "write it at the top of the file, above the first [section]".to_owned(),
            _ => format!("write it below [{home}]"),
        };
        table.refuse(name, "it does not belong here", &instead);
    }
}
