//! The CLI reference as Markdown, written from the argument types; docs/reference/cli.md is its output.

use clap::{ArgAction, Command, CommandFactory};
use std::fmt::Write;

/// The reference of every visible command.
pub(crate) fn markdown() -> String {
    let mut root = crate::arguments::Arguments::command();
    root.build();
    let mut text = String::from(
        "# Command line\n\nWritten by `lepton reference`; a test says when it is stale. Exit codes: 0 done, 1 a check or gate \
         failed, 2 wrong usage or bad input, 3 the work broke. Results go to standard output, progress and errors to \
         standard error.\n",
    );
    text.push_str("\n## Flags of every command\n\n");
    for argument in root.get_arguments().filter(|argument| argument.is_global_set()) {
        line(&mut text, argument);
    }
    for command in root.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        section(&mut text, command, "lepton");
    }
    text
}

fn section(text: &mut String, command: &Command, parent: &str) {
    let path = format!("{parent} {}", command.get_name());
    let children: Vec<&Command> = command.get_subcommands().filter(|child| child.get_name() != "help").collect();
    if !children.is_empty() {
        for child in children {
            section(text, child, &path);
        }
        return;
    }
    let mut usage = path.clone();
    let own = || command.get_arguments().filter(|argument| !argument.is_global_set() && !argument.is_hide_set());
    for argument in own().filter(|argument| argument.is_positional()) {
        let name = argument.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str());
        let more = if argument.get_num_args().is_some_and(|range| range.max_values() > 1) { "..." } else { "" };
        let shown = if argument.is_required_set() { format!(" {name}{more}") } else { format!(" [{name}]{more}") };
        usage.push_str(&shown);
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## `{usage}`\n\n{}.\n\n", command.get_about().map(ToString::to_string).unwrap_or_default());
    for argument in own().filter(|argument| !matches!(argument.get_action(), ArgAction::Help | ArgAction::Version)) {
        line(text, argument);
    }
}

fn line(text: &mut String, argument: &clap::Arg) {
    let value = argument.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    let takes_value = argument.get_action().takes_values();
    let name = match (argument.get_long(), value) {
        (Some(long), Some(value)) if takes_value => format!("--{long} {value}"),
        (Some(long), _) => format!("--{long}"),
        (None, value) => value.unwrap_or("VALUE").to_owned(),
    };
    let mut about = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && takes_value {
        let _ = write!(about, " (default: {})", defaults.join(", "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(about, " (environment: {})", variable.to_string_lossy());
    }
    let _ = writeln!(text, "- `{name}`: {about}");
}
