# frozen_string_literal: true

# What Sidekiq runs for `collect_sidekiq.py`: one class of job, which sleeps and may fail.
#
#     JOBS_REDIS=redis://127.0.0.1:PORT/0 JOBS_LOG=FILE sidekiq -r ./sidekiq_jobs.rb -c 4
#
# Whatever happens is a line of JSON in the log, with the time on CLOCK_MONOTONIC, which all
# processes of a machine share. A line is written at once and whole, so a process that is killed
# leaves all it did until then. Several processes append to the same log.

require "json"
require "sidekiq"

LOG = File.open(ENV.fetch("JOBS_LOG"), "a")

def record(event, **what)
  at = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  LOG.syswrite("#{JSON.generate({event: event, at: at, pid: Process.pid, **what})}\n")
end

# Polls as Sidekiq does, and notes when, and which average interval was in force.
class NotedEnq < Sidekiq::Scheduled::Enq
  def enqueue_jobs(*)
    record("poll", processes: Sidekiq::ProcessSet.new(false).size,
                   average_s: Sidekiq.options[:poll_interval_average])
    super
  end
end

# Tells a job how often it has failed before; the job itself is not told by Sidekiq.
class TellAttempt
  def call(worker, message, _queue)
    count = message["retry_count"]
    worker.attempt = count ? count + 1 : 0
    yield
  end
end

# Sleeps, then fails as often as it was told to. The sleep stands for a call of another service.
class TimedJob
  include Sidekiq::Worker
  attr_accessor :attempt

  def perform(job, asked_s, failures)
    thread = Thread.current.object_id
    record("start", job: job, thread: thread, attempt: attempt)
    sleep(asked_s) if asked_s.positive?
    record("end", job: job, thread: thread, attempt: attempt)
    raise "failure #{attempt + 1} of #{failures}" if attempt < failures
  end
end

Sidekiq.configure_server do |config|
  Redis.silence_deprecations = true # of the way Debian's Sidekiq calls Debian's redis gem
  config.redis = {url: ENV.fetch("JOBS_REDIS")}
  config.logger.level = Logger::FATAL # a failure that was asked for is no news
  config.options[:scheduled_enq] = NotedEnq
  config.server_middleware { |chain| chain.add TellAttempt }
  config.on(:startup) { record("up", concurrency: config.options[:concurrency]) }
  config.on(:shutdown) { record("shutdown") }
end
