//! What goes into the log, and how it looks. The log is on stderr.
//!
//! How much, the first that applies:
//!
//! 1. `RUST_LOG`, in the syntax of env_logger
//! 2. `-q`: errors; `-v`: what happens; `-vv`: for debugging; `-vvv`: everything
//! 3. `log_level` of the configuration
//! 4. otherwise: warnings
//!
//! In colours, the first that applies: `RUST_LOG_STYLE` (`always`, `never`), then the list of
//! [`phalanx_config::style::allowed`], which begins with `NO_COLOR`.

use std::io::Write as _;

use env_logger::WriteStyle;
use log::LevelFilter;
use phalanx_config::configuration::Configuration;
use phalanx_config::style::{Role, Styles};
use phalanx_process::visible::visible_lines;

/// Begins to write the log. `verbosity` is -1 for `-q`, 0, 1 for `-v`…
pub(crate) fn start(verbosity: i16, configuration: &Configuration) {
    let level = match verbosity {
        ..=-1 => LevelFilter::Error,
        0 => configuration.log_level,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        3.. => LevelFilter::Trace,
    };
    let coloured = configuration.styles(&std::io::stderr()).are_coloured();
    let mut builder = env_logger::Builder::new();
    if std::env::var_os("RUST_LOG").is_none_or(|value| value.is_empty()) {
        // The only handlers in this program are its own: a slow turn is a busy machine's, and no news for a user. A
        // filter for a module would win over one of the user's for all.
        builder.filter_level(level).filter_module("phalanx_process::engine", quieter(level));
    }
    builder.write_style(if coloured { WriteStyle::Always } else { WriteStyle::Never });
    // What the logger writes without colours it takes out of this again.
    let styles =
        configuration.styles.iter().fold(Styles::coloured(), |styles, (role, style)| styles.with(*role, *style));
    builder.format(move |to, record| {
        let time = styles.paint(Role::LogHeader, to.timestamp());
        let level = styles.paint(Role::Level(record.level()), record.level());
        writeln!(to, "[{time} {level:<5}] {}", visible_lines(&record.args().to_string()))
    });
    builder.parse_default_env().init();
}

fn quieter(level: LevelFilter) -> LevelFilter {
    if level <= LevelFilter::Warn { level.min(LevelFilter::Error) } else { level }
}
