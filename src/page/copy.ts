// Copies text to the clipboard, and says so on the button that was pressed.
import { button } from './element.js';

const saysSoMs = 1_500;

/** A button that copies what `text` gives. `what` names that for screen readers. */
export function copyButton(what: string, text: () => string): HTMLButtonElement {
	const made = button('Copy', async () => {
		made.textContent = (await copied(text())) ? 'Copied' : 'No access';
		setTimeout(() => {
			made.textContent = 'Copy';
		}, saysSoMs);
	});
	made.setAttribute('aria-label', `Copy ${what}`);
	return made;
}

async function copied(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		return copiedByCommand(text);
	}
}

// Over plain HTTP, from anywhere but localhost, browsers have no navigator.clipboard.
function copiedByCommand(text: string): boolean {
	const focused = document.activeElement as HTMLElement | null;
	const field = document.createElement('textarea');
	field.className = 'unseen';
	field.value = text;
	document.body.append(field);
	field.select();
	const isCopied = document.execCommand('copy');
	field.remove();
	focused?.focus();
	return isCopied;
}
