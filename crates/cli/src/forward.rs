//! `phalanx forward`: a port here that leads to a port behind a host, until Ctrl-C or the connection is lost.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use phalanx_process::Signal;
use phalanx_process::completion::Completion;
use phalanx_process::engine::{Engine, EngineOptions};
use phalanx_process::event::Event;
use phalanx_process::forward::{ForwardError, PendingForwarding, PortForwarder};
use phalanx_process::host::Host;
use phalanx_process::ssh::SshOptions;

use crate::args::values::time;
use crate::connect::ConnectArgs;
use crate::exit;

/// What `phalanx forward --help` says below the options.
const HELP: &str = "\
The target is seen from HOST: localhost:80 is port 80 of the host itself. Once a connection really goes through to the \
target, the local address is shown on stdout, as one line; the target sees one connection that says nothing (not with \
--no-probe).

Exit status: 1 not forwarded, or the connection was lost; 2 wrong usage; 3 internal error; 130, 143 stopped by SIGINT, \
SIGTERM.";

/// What `phalanx forward` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ForwardArgs {
    /// The port here; one that is free is chosen if none is given
    #[arg(short = 'L', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    local_port: Option<u16>,

    /// The address here: 0.0.0.0 lets every host that reaches this one use the port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    bind: String,

    /// How long it may take until a connection goes through; 0 for as long as it takes [default: 25]
    #[arg(long, value_name = "TIME", value_parser = time)]
    forwarding_timeout: Option<Duration>,

    /// Do not try a connection to the target: ready as soon as ssh listens
    #[arg(long)]
    no_probe: bool,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    /// Say nothing but the address and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more; twice for debugging
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    // Not a doc comment: to rustdoc, brackets are links.
    // Not the parser that clap would find by itself, a conversion that refuses nothing.
    #[arg(help = "Through which host: [USER@]ADDRESS[:PORT]", value_parser = str::parse::<Host>)]
    host: Host,

    /// Where to, as seen from there: ADDRESS:PORT, an IPv6 address in brackets
    #[arg(value_name = "RHOST:RPORT", value_parser = target)]
    target: (String, u16),
}

/// `phalanx forward`, from what was typed to the exit status.
pub(crate) fn run(args: &ForwardArgs) -> ExitCode {
    let params = match args.connect.params() {
        Ok(params) => SshOptions { forwarding_timeout: args.forwarding_timeout, ..params },
        Err(error) => return exit::usage(&error),
    };
    match begin(args, params) {
        Ok((engine, pending)) => serve(args, engine, &pending),
        Err(Wrong::Engine(error)) => exit::internal(&format!("cannot watch for signals: {error}")),
        Err(Wrong::Forward(error)) => exit::failed(&error),
    }
}

/// Why nothing is begun.
enum Wrong {
    Engine(io::Error),
    Forward(ForwardError),
}

/// Begins to set the forwarding up, on an engine that signals to this program wake.
fn begin(args: &ForwardArgs, params: SshOptions) -> Result<(Engine, PendingForwarding), Wrong> {
    let mut engine = Engine::current_thread(EngineOptions::default()).map_err(Wrong::Engine)?;
    engine.watch_signals(&[Signal::INT, Signal::TERM, Signal::HUP]).map_err(Wrong::Engine)?;
    let pending = forwarder(args, params).begin_on(&engine.handle()).map_err(Wrong::Forward)?;
    Ok((engine, pending))
}

fn forwarder(args: &ForwardArgs, params: SshOptions) -> PortForwarder {
    let (address, port) = &args.target;
    let mut forwarder = PortForwarder::new(&args.host, address, *port).bind_address(&args.bind).params(params);
    if let Some(port) = args.local_port {
        forwarder = forwarder.local_port(port);
    }
    if args.no_probe { forwarder.without_probe() } else { forwarder }
}

fn serve(args: &ForwardArgs, mut engine: Engine, pending: &PendingForwarding) -> ExitCode {
    if let Err(status) = wait_for(&mut engine, pending.settled()) {
        return status;
    }
    let forwarding = match pending.take() {
        Some(Ok(forwarding)) => forwarding,
        Some(Err(error @ ForwardError::NoPort { .. })) => return exit::internal(&error),
        Some(Err(error)) => return exit::failed(&error),
        None => return exit::internal(&"the forwarding ended without a result"),
    };
    // The one line that scripts read: without it, they do not know the port.
    if let Err(error) = writeln!(io::stdout(), "{}", forwarding.local_address()) {
        return exit::internal(&format!("cannot write the local address to stdout: {error}"));
    }
    if let Err(status) = wait_for(&mut engine, forwarding.lost()) {
        return status;
    }
    exit::failed(&format!("{}: connection lost: {}", args.host, forwarding.wait()))
}

/// Waits for something to come, or for a signal that ends the program; ssh, and all else, ends with the engine.
fn wait_for<T: Clone>(engine: &mut Engine, completion: &Completion<T>) -> Result<(), ExitCode> {
    let wake = engine.waker();
    let _woken = completion.on_complete(move |_| wake());
    while completion.is_pending() {
        match engine.next_event(None) {
            Ok(Some(Event::Signal(signal))) => return Err(ExitCode::from(exit::of_signal(signal.number()))),
            Ok(_) => {}
            Err(error) => return Err(exit::internal(&format!("cannot wait for what happens: {error}"))),
        }
    }
    Ok(())
}

fn target(text: &str) -> Result<(String, u16), String> {
    let parsed: Host = text.parse().map_err(|_| expected_target())?;
    match parsed.port {
        phalanx_process::host::Setting::Value(port) if !text.contains('@') => Ok((parsed.address().to_owned(), port)),
        _ => Err(expected_target()),
    }
}

fn expected_target() -> String {
    "expected ADDRESS:PORT, such as localhost:80 or [::1]:80".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_and_a_port() {
        assert_eq!(target("localhost:80"), Ok(("localhost".to_owned(), 80)));
        assert_eq!(target("[::1]:80"), Ok(("::1".to_owned(), 80)));
        for text in ["", "80", "localhost", "localhost:", ":80", "::1", "u@localhost:80", "localhost:0", "a b:1"] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
