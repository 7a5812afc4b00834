// What the server tells the page about itself, in an attribute of the document.

export type Settings = {
	/** The longest message that it takes, in bytes. */
	readonly maxMessage: number;
	/** Whether it takes messages from websockets (`--client-publish`). */
	readonly mayPublish: boolean;
	/** Whether it takes them by POST (`--post`). */
	readonly allowsPost: boolean;
};

export function readSettings(): Settings {
	return JSON.parse(document.documentElement.dataset.settings ?? '{}');
}
