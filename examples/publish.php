<?php
// Publishes a message, and prints how many subscribers the channel has: php publish.php [CHANNEL [MESSAGE]]
$channel = $argv[1] ?? 'http://localhost:8081/room/1';
$request = ['method' => 'POST', 'header' => 'Content-Type: text/plain', 'content' => $argv[2] ?? 'hello'];
$answer = fopen($channel, 'r', false, stream_context_create(['http' => $request]));
if ($answer === false) exit(1);
foreach (stream_get_meta_data($answer)['wrapper_data'] as $line) {
	if (preg_match('/^X-Subscribers: (\d+)/i', $line, $match)) echo "$match[1]\n";
}
