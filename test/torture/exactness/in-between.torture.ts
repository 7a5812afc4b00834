// The same load over TLS, and through nginx.
import { needsNginx, startNginx } from '../../deploy/support/nginx.js';
import { tlsFlags } from '../../support/tls.js';
import { inForm, torture } from '../support/torture.js';
import { mixed, patience, runMixed } from './mixed.js';
import { startNode, targetOf } from './nodes.js';

const fewer = { ...mixed, channels: 40, connectsPerSecond: 200, deliveries: inForm(8_000, 200_000) };

torture(
	{
		thrown: 'messages of all kinds of publishers to all kinds of subscribers on 40 channels, while clients come and go, over TLS',
		promised:
			'Every subscriber gets every message of its channel once, in the one order of the channel. At the end nothing is left.',
	},
	async (t) => runMixed(t, [await startNode(t, ...tlsFlags)], fewer),
	patience,
);

torture(
	{
		thrown:
			'messages of all kinds of publishers to all kinds of subscribers on 40 channels, while clients come and go, through nginx, which speaks TLS, with the configuration of deploy/nginx/pathcast.conf',
		promised:
			'Every subscriber gets every message of its channel once, in the one order of the channel. At the end nothing is left.',
	},
	async (t) => {
		const node = await startNode(t);
		const { port } = await startNginx(t, 'pathcast.conf', [{ port: node.target.port, operatorPort: node.operator.port }]);
		return runMixed(t, [{ ...node, target: targetOf(port, true) }], fewer);
	},
	{ ...needsNginx, ...patience },
);
