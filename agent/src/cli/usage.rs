//! Wrong usage, in one line.

use std::process::ExitCode;

use clap::error::ErrorKind;

/// Prints help and version as they are, and what is wrong with the flags in one line. Exit code 2 for the latter.
pub(super) fn report(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away (`telltale --help | head`) is no failure.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            eprintln!("telltale: {}", one_line(&error.to_string()));
            ExitCode::from(2)
        }
    }
}

/// The message and the tips of a rendered error, without the usage.
fn one_line(rendered: &str) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = rendered.split("\n\n");
    let message = words(paragraphs.next().unwrap_or_default());
    let mut line = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
    for paragraph in paragraphs {
        if let Some(tip) = words(paragraph).strip_prefix("tip: ") {
            line.push_str("; ");
            line.push_str(tip);
        }
    }
    line.push_str("; see --help");
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    fn message(arguments: &[&str]) -> String {
        one_line(&Cli::try_parse_from(arguments).unwrap_err().to_string())
    }

    #[test]
    fn what_is_wrong_fits_one_line() {
        insta::assert_snapshot!(
            [
                message(&["telltale", "replay", "a", "--log", "-"]),
                message(&["telltale", "replay"]),
                message(&["telltale", "repay"]),
                message(&["telltale", "replay", "a", "--spans"]),
                message(&["telltale", "-q", "-v", "replay", "a"]),
            ]
            .join("\n"),
            @r"
            unexpected argument '--log' found; a similar argument exists: '--logs'; see --help
            the following required arguments were not provided: <RECORDING>...; see --help
            unrecognized subcommand 'repay'; a similar subcommand exists: 'replay'; see --help
            a value is required for '--spans <OUT>' but none was supplied; see --help
            the argument '--quiet' cannot be used with '--verbose...'; see --help
            "
        );
    }
}
