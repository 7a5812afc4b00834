// The type of an option: a row of the option table.

/** One option. `value` names its value in --help; without it, the option is on or off. */
export type OptionRow<Value> = {
	readonly group: 'Listening' | 'Messages' | 'Who may connect' | 'Hooks' | 'Relay' | 'Limits' | 'Closing' | 'Logging';
	readonly value?: string;
	readonly default: string;
	readonly help: string;
	/** Whether it may be repeated, each time adding to a comma-separated list. */
	readonly isList?: boolean;
	/** Whether its value may hold a password, so that no error repeats it. */
	readonly isSecret?: boolean;
	parse(text: string): Value;
};

/** A parser of a value that may be missing. */
export function optional<Value>(parse: (text: string) => Value): (text: string) => Value | undefined {
	return (text) => (text === '' ? undefined : parse(text));
}
