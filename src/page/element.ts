// The elements that index.html has, by their ids, and new ones.

export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
	const found = document.getElementById(id);
	if (found === null) throw new Error(`index.html has no #${id}`);
	return found as Kind;
}

/** A new element of that class with that text: only ever text, whatever it contains. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
	tag: Tag,
	className: string,
	text = '',
): HTMLElementTagNameMap[Tag] {
	const made = document.createElement(tag);
	if (className !== '') made.className = className;
	made.textContent = text;
	return made;
}

/** A button that does not submit. */
export function button(text: string, onClick: () => void): HTMLButtonElement {
	const made = element('button', '', text);
	made.type = 'button';
	made.addEventListener('click', onClick);
	return made;
}
