# Publishes a message, and prints how many subscribers the channel has: ruby publish.rb [CHANNEL [MESSAGE]]
require 'net/http'

channel, message = ARGV
answer = Net::HTTP.post(URI(channel || 'http://localhost:8081/room/1'), message || 'hello', 'Content-Type' => 'text/plain')
abort answer.body unless answer.is_a?(Net::HTTPSuccess)
puts answer['X-Subscribers']
