//! The serial line of another host: `stty` there, and `cat` both ways.

use super::{DataBits, FlowControl, Parity, Settings, StopBits};
use crate::engine::EngineHandle;
use crate::host::Host;
use crate::process::Process;
use crate::spec::{Policy, Spec, Stdin};
use crate::ssh::login_shell::script_line;
use crate::ssh::{SshOptions, SshProcess};

/// Run there by sh, which replaces the user's shell, so that the process group holds nobody else. `$1` is the device,
/// the rest the words for stty.
///
/// * stty comes twice: `-F` opens without waiting for a carrier, but a device may forget its settings when it is closed.
/// * The device is opened by a subshell: for the leader of the session it would become the controlling terminal, and
///   its end a hangup that nobody lives to tell.
/// * The end of our stdin is the end of the line: so nothing stays behind there when the connection breaks, or when we
///   are killed. It ends the reader, by a signal, from which the end of the device is told apart.
/// * `kill 0` ends the writer, whose `cat` would otherwise wait for our stdin for ever. The shell itself only takes note
///   of it, by a trap that its children do not inherit.
const SCRIPT: &str = r#"device=$1; shift
stty -F "$device" "$@" || exit 1
trap : TERM
(
exec 3<&0 4<>"$device" || exit 1
stty "$@" <&4 || exit 1
cat <&4 3<&- & reader=$!
{ cat <&3 >&4; kill "$reader"; } 2>/dev/null &
wait "$reader"; status=$?
trap "" TERM; kill 0
test "$status" -eq 143 && exit 0
echo "the serial device $device has vanished" >&2; exit 1
)
exit "$?""#;

/// A serial line of another host: builds the [`Process`] that is one. It needs `sh`, `stty` and `cat` there, which
/// Linux has. Nobody keeps others from using the device at the same time. While a line takes nothing (flow control), what
/// runs there does not notice the end of the connection, and stays until the line takes something again.
///
/// Closing its stdin ends it, besides what ends a [`Serial`](super::Serial).
#[derive(Debug, Clone, PartialEq)]
pub struct SerialSsh {
    ssh: SshProcess,
    device: String,
    settings: Settings,
}

impl SerialSsh {
    /// The line of `device` of `host`, at `speed` bits per second: raw, 8 bits, no parity, one stop bit, no flow
    /// control.
    #[must_use]
    pub fn new(host: impl Into<Host>, device: impl Into<String>, speed: u32) -> Self {
        Self { ssh: SshProcess::new("", host), device: device.into(), settings: Settings::at(speed) }
    }

    /// Set up in another way. [`Settings::exclusive`] cannot be had from here.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// How to reach the host.
    #[must_use]
    pub fn params(self, params: SshOptions) -> Self {
        Self { ssh: self.ssh.params(params), ..self }
    }

    /// How the process is treated.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { ssh: self.ssh.policy(policy), ..self }
    }

    /// What the host is asked to run.
    #[must_use]
    pub fn remote_command(&self) -> String {
        let words = stty_words(&self.settings);
        let parameters: Vec<&str> = std::iter::once(&self.device).chain(&words).map(String::as_str).collect();
        script_line(SCRIPT, &parameters)
    }

    /// What is started here.
    #[must_use]
    pub fn spec(&self) -> Spec {
        let mut spec = self.ssh.clone().command(self.remote_command()).spec();
        spec.launch.stdin = Stdin::Pipe;
        spec.launch.name = Some(format!("serial {} {}", self.device, self.settings.speed));
        spec
    }

    /// The process, not started, to be run by the default engine.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process_on(EngineHandle::global())
    }

    /// The process, not started, to be run by `engine`.
    #[must_use]
    pub fn process_on(&self, engine: &EngineHandle) -> Process {
        Process::from_spec(self.spec(), engine).on_host(self.ssh.host().address())
    }
}

/// The settings as stty(1) takes them; what `raw` means differs, so all of it is said.
fn stty_words(settings: &Settings) -> Vec<String> {
    let on = |flag: bool, name: &str| if flag { name.to_owned() } else { format!("-{name}") };
    let bits = match settings.data_bits {
        DataBits::Five => "cs5",
        DataBits::Six => "cs6",
        DataBits::Seven => "cs7",
        DataBits::Eight => "cs8",
    };
    let software = settings.flow_control == FlowControl::Software;
    let mut words: Vec<String> = vec![settings.speed.to_string()];
    words.extend(["raw", "-echo", "-echoe", "-echok", "-iexten", "clocal", "cread", bits].map(str::to_owned));
    words.extend([
        on(settings.parity != Parity::None, "parenb"),
        on(settings.parity == Parity::Odd, "parodd"),
        on(settings.stop_bits == StopBits::Two, "cstopb"),
        on(settings.flow_control == FlowControl::Hardware, "crtscts"),
        on(software, "ixon"),
        on(software, "ixoff"),
        "min".to_owned(),
        "1".to_owned(),
        "time".to_owned(),
        "0".to_owned(),
    ]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_the_words_of_stty() {
        let base = Settings::at(9600);
        let raw = "9600 raw -echo -echoe -echok -iexten clocal cread";
        assert_eq!(
            stty_words(&base).join(" "),
            format!("{raw} cs8 -parenb -parodd -cstopb -crtscts -ixon -ixoff min 1 time 0")
        );
        let odd = Settings {
            data_bits: DataBits::Seven,
            parity: Parity::Odd,
            stop_bits: StopBits::Two,
            flow_control: FlowControl::Hardware,
            ..base
        };
        assert_eq!(
            stty_words(&odd).join(" "),
            format!("{raw} cs7 parenb parodd cstopb crtscts -ixon -ixoff min 1 time 0")
        );
        let even = Settings { parity: Parity::Even, flow_control: FlowControl::Software, ..base };
        assert_eq!(
            stty_words(&even).join(" "),
            format!("{raw} cs8 parenb -parodd -cstopb -crtscts ixon ixoff min 1 time 0")
        );
    }

    #[test]
    fn a_device_is_one_word_whatever_its_name() {
        let command = SerialSsh::new("n", "/dev/it's $HOME!\n", 300).remote_command();
        let words = shlex::split(&command).expect("words");
        assert_eq!(words[..4], ["exec", "sh", "-c", r#"eval "$(printf %b "$1")""#]);
        let parameters = r"set -- \0047/dev/it\0047\0134\0047\0047s $HOME\0041\0012\0047 \0047300\0047 ";
        assert!(words[5].starts_with(parameters), "{}", words[5]);
    }
}
